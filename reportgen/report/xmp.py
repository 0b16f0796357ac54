"""What a PDF says about itself: one file that is PDF/A-3a and PDF/UA-1.

WeasyPrint writes one standard a file. It is asked for PDF/A-3a, which it also makes tagged, and the claim of PDF/UA is put into the
same ``rdf:RDF``: a second one, which the writer's own option for more metadata makes, is invalid. PDF/A wants every property that
it does not know to be described, so the claim comes with its schema (ISO 19005-3, 6.6.2.3; ISO 14289-1, 5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reportgen.errors import RenderError

VARIANT = "pdf/a-3a"

_END = b"</rdf:RDF>"
_SCHEMA = {
    "schema": "PDF/UA identification schema",
    "namespaceURI": "http://www.aiim.org/pdfua/ns/id/",
    "prefix": "pdfuaid",
}
_PROPERTY = {
    "name": "part",
    "valueType": "Integer",
    "category": "internal",
    "description": "Part of ISO 14289 that the file follows",
}


def _tags(prefix: str, values: dict[str, str]) -> str:
    return "".join(f"<{prefix}:{name}>{value}</{prefix}:{name}>" for name, value in values.items())


_CLAIM = (
    f'<rdf:Description rdf:about="" xmlns:pdfuaid="{_SCHEMA["namespaceURI"]}" pdfuaid:part="1"/>'
    '<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"'
    ' xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">'
    f'<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">{_tags("pdfaSchema", _SCHEMA)}'
    f'<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">{_tags("pdfaProperty", _PROPERTY)}</rdf:li></rdf:Seq>'
    "</pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>"
).encode("ascii")


def claim_ua(metadata: Any) -> None:
    """Make a document's metadata say PDF/UA-1 beside the standard that the writer puts in.

    Parameters
    ----------
    metadata : weasyprint.pdf.metadata.DocumentMetadata
        Of one document; changed in place.
    """
    write: Callable[[str, Any, Any], bytes] = metadata.generate_rdf_metadata

    def written(variant: str, version: Any, conformance: Any) -> bytes:
        head, end, tail = write(variant, version, conformance).rpartition(_END)
        if not end:
            raise RenderError(
                "this version of WeasyPrint writes metadata that reportgen cannot add to; use weasyprint 70"
            )
        return head + _CLAIM + end + tail

    metadata.generate_rdf_metadata = written
