"""What the shop of the tests of mails is like."""

from __future__ import annotations

KEY = "a key for tests, not a secret"
CONFIG = """
[operator]
name = "Example Shop Ltd"
address = "1 Any Street, Anytown"
[operator.links]
non_personalised = "https://example.org/plain"
[mail]
from_address = "hello@example.org"
unsubscribe = "https://example.org/stop/{token}"
"""
#: Place of a user in the table -> what stands there instead of an address.
ODD = {
    1: "",
    2: "not an address",
    3: "a@example.org\r\nBcc: victim@evil.test",
    4: "王小明@例子.cn",
    5: "=cmd|'x'!a@example.org",
    6: "one@example.org,two@example.org",
}
#: Those of `ODD` that nobody can write to.
NOBODY = (1, 2, 3, 6)
USERS = 24
