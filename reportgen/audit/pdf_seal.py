"""``seal_pdf``: a finished PDF gets a seal that any reader of PDF can check: a certifying signature as in PAdES (ETSI EN 319 142-1).

The seal is added at the end of the file, so what it covers stays byte for byte, and the whole remains PDF/A-3a and PDF/UA-1: the field
of the signature has no size and lies outside the page, where PDF/UA asks for no tag, and the metadata keep the time of the report.

pyHanko is an extra, loaded with this module; import it only where something is sealed. It lays out the signature; the signing itself is
`Sealer.sign`, since pyHanko would draw a random number for ECDSA.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from reportgen.audit.pdf_key import Sealer
from reportgen.errors import ConfigError

try:
    from asn1crypto.x509 import Certificate
    from pyhanko.pdf_utils.generic import ByteStringObject
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
    from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
    from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
    from pyhanko.sign.signers.pdf_byterange import SignatureObject
    from pyhanko.sign.signers.pdf_cms import ExternalSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore
except ImportError as error:
    raise ConfigError("pyHanko is not installed; to seal a PDF: pip install 'reportgen[pdfseal]'") from error

FIELD, LABEL = "Seal", "Seal of this document"
#: Bytes of a signature without its certificates: about 900 with RSA of 4096 bits.
_SIGNATURE = 3_000


def seal_pdf(pdf: bytes, sealer: Sealer, when: datetime) -> bytes:
    """Seal a PDF, so that every later change is seen.

    Parameters
    ----------
    pdf : bytes
        Without a form and without signatures.
    sealer : Sealer
    when : datetime
        The time that the seal claims, with its zone. Nobody else vouches for it: no time stamp is asked for, nothing is fetched.

    Returns
    -------
    bytes
        The same for the same PDF, certificates, key, time and versions.
    """
    chain = [one.public_bytes(Encoding.DER) for one in (sealer.certificate, *sealer.chain)]
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    _keep_still(writer, hashlib.sha256(b"".join((pdf, *chain))).digest())
    writer.register_extension(ESIC_EXTENSION_1)  # the form of the signature is younger than PDF 1.7
    outside = InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True)
    field = SigFieldSpec(FIELD, invis_sig_settings=outside, readable_field_name=LABEL)
    name = sealer.hash.name
    steps = PdfCMSEmbedder(field).write_cms(FIELD, writer)
    next(steps)
    room = 2 * (_SIGNATURE + sum(map(len, chain)))  # in hexadecimal digits
    empty = SignatureObject(timestamp=when, subfilter=SigSeedSubFilter.PADES, bytes_reserved=room)
    closed = SigMDPSetup(md_algorithm=name, certify=True, docmdp_perms=MDPPerm.NO_CHANGES)
    steps.send(SigObjSetup(sig_placeholder=empty, mdp_setup=closed))
    prepared, out = steps.send(SigIOSetup(md_algorithm=name))
    steps.send(_done(_signature(sealer, chain, prepared.document_digest)))
    return bytes(out.getvalue())


def _keep_still(writer: Any, digest: bytes) -> None:
    """Give fixed values to what pyHanko would draw, the second half of the file's identifier, and leave out what it would ask the clock
    for, a new time in the metadata: they describe the report, which is not changed.
    """
    writer._document_id[1] = ByteStringObject(digest[:16])
    writer._update_meta = lambda: None


async def _signature(sealer: Sealer, chain: list[bytes], digest: bytes) -> Any:
    """The signature over a digest, with the certificates: CMS (RFC 5652)."""
    own, *others = map(Certificate.load, chain)
    store = SimpleCertificateStore()
    store.register_multiple(others)

    def signer(signature: bytes) -> Any:
        return ExternalSigner(signing_cert=own, cert_registry=store, signature_value=signature)

    told = await signer(b"").signed_attrs(digest, sealer.hash.name, use_pades=True)
    signed = sealer.sign(told.dump())
    return await signer(signed).async_sign_prescribed_attributes(sealer.hash.name, told)


def _done(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine comes to. In a thread of its own, since a notebook has a loop of events already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
