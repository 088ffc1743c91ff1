"""Removes secrets from texts. Whatever looks like one is removed, except from a `Clean` text."""

from __future__ import annotations

import re

REDACTED = "[redacted]"


class Clean(str):
    """Marks a text that holds no secret, so that redaction leaves it as it is; made by `clean`.

    An exception that is raised with one still returns it as `str(error)`. What is derived from one, such as
    a slice or an f-string, is an ordinary text.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return self


def clean(message: str, *values: object) -> Clean:
    """Return a message of this package, in which only the values are redacted, not the message's own words.

    An ordinary message is redacted like any text: after `token=`, the next word would be removed.

    Args:
        message: A literal with a `{}` for each value; never a text from elsewhere.
        values: The values. One that follows a secret name, as in `password={}`, is replaced altogether,
            unless it is `Clean`.

    Raises:
        ValueError: The message has more or fewer `{}` than there are values.
    """
    first, *rest = message.split("{}")
    shown, before = [first], first
    for value, behind in zip(values, rest, strict=True):
        found = str(value)
        text = redact_secrets(found)
        if type(found) is not Clean and not redact_secrets(before + text).endswith(text):
            text = REDACTED
        shown += text, behind
        before = behind
    return Clean("".join(shown))


# A name is secret because of one of its words, a pair of adjacent words, its last word, or the end of a
# long word. Counters (`total_tokens`, `token_usage`) have none of these.
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_WORD = {"authorization", "credential", "passcode", "passphrase", "passwd", "password", "secret"}
_PAIR = {
    *("access_key", "account_key", "api_key", "encryption_key", "master_key", "private_key", "session_key"),
    *(
        "access_token",
        "api_token",
        "auth_token",
        "bearer_token",
        "id_token",
        "refresh_token",
        "session_token",
    ),
    *("conn_str", "connection_string", "signing_key"),
}
_LAST = {"auth", "bearer", "cookie", "cookies", "dsn", "jwt", "pass", "pwd", "signature", "token"}
_ENDING = re.compile(
    r"(?:apikey|password|passwd|passphrase|secret|credentials?|authorization|connectionstring"
    r"|(?:private|access|secret|account)key|(?:access|auth|refresh|rest|session|bearer|api)token)s?$"
)


def is_secret_name(name: str) -> bool:
    """Return whether a value under this name (of a key, a header, a variable) is a secret.

    `apiKey`, `X-Api-Key` and `OPENAI_API_KEY` are; `total_tokens` and other counters are not.
    """
    words = [word.lower() for word in _WORDS.findall(name[-128:])]
    singular = [word.removesuffix("s") for word in words]
    pairs = {f"{first}_{second}" for first, second in zip(words, singular[1:], strict=False)}
    return bool(words) and (
        words[-1] in _LAST
        or not _WORD.isdisjoint(singular)
        or not _PAIR.isdisjoint(pairs)
        or any(_ENDING.search(word) for word in words)
    )


_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,60}-----|\Z)",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""
    (?<![A-Za-z0-9])(?:
        sk-(?:[A-Za-z0-9_-]{12,}|(?=[A-Za-z_-]{0,11}[0-9])[A-Za-z0-9_-]{6,})
      | [sr]k_(?:live|test)_[A-Za-z0-9]{4,} | sk_[A-Za-z0-9]{20,}
      | (?:gh[opusr]|hf|gsk|npm|r8|whsec|shpat|ls_)_[A-Za-z0-9]{8,}
      | (?:github_pat_|glpat-|lsv2_[a-z]{2}_|tvly-|pplx-|xai-|nvapi-|pypi-|dop_v1_|xox[a-z]-|xapp-)[\w-]{8,}
      | (?:AKIA|ASIA)[A-Z0-9]{12,} | AIza[\w-]{16,} | ya29\.[\w-]{8,} | SG\.[\w.-]{16,}
      | eyJ[\w-]{8,}(?:\.[\w-]*){0,4}
    )""",
    re.VERBOSE | re.ASCII,
)
_SCHEME = re.compile(
    r"""(?<![A-Za-z0-9])(?P<scheme>
        bearer\s{1,8}
      | basic\s{1,8}(?=[\w+/-]{0,400}(?:[0-9=]|(?-i:[a-z][A-Z])))  # "basic training" is none
    )[^\s"'\\,;<>]{4,}""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# A password may contain "/" and "@"; a port is not a password. Lengths are limited, or some texts would
# take quadratic time.
_URL = re.compile(
    r"""://(?:[^\s/?\#"'<>]{0,1024}|[^\s/@:"'<>]{0,256}:(?!\d{1,5}/)[^\s"'<>]{0,512})@""", re.VERBOSE
)
_NAME = re.compile(
    r"""
      (?<![\w-])--?(?P<flag>[A-Za-z][\w-]{0,63})(?:[ \t]{1,4}(?!-)|=)
    | <(?P<element>[A-Za-z_][\w.:-]{0,63})>
    | (?<![\w.-])(?P<name>
          [A-Za-z_][\w.-]{0,127}
        | (?:(?i:api|access|secret|private|auth|client|refresh)[ ](?i:key|token|secret)))
      (?:[ ]provided)?
      (?:\\{0,7}["'])?\]?[ \t]{0,4}(?:=>|:=|==|[:=])[ \t]{0,4}
    """,
    re.VERBOSE,
)
_VALUE = re.compile(
    r"""
      [bruf]{0,2}(?P<quote>["'])(?s:(?:(?!(?P=quote))[^\\]|\\.)*)(?:(?P=quote)|\\?\Z)
    | (?P<escaped>\\{1,7}["'])(?s:.*?)(?:(?<!\\)(?P=escaped)|\Z)
    | (?:
          [^\s,;&"'<>}\])]
        | [,;&](?![\s"']|[\w.-]{1,64}["']?\s?[=:]|\Z)
        | ["'}\])](?=\w)
      )+
    """,
    re.VERBOSE,
)
_HEADER = re.compile(r"""[^\r\n"'<>}\\]*""")
_CLOSING = {"[": "]", "{": "}", "(": ")"}

# A secret split by the cut of a text no longer matches, so these many characters beside a cut are dropped:
# at the end, the start of a secret that is too short to match; at the beginning, the rest of one whose start
# is missing, up to a blank.
_MARGIN, _MARGIN_BEFORE = 512, 4096
_BETWEEN_SECRETS = re.compile(r"\s|[^\x00-\x7f]")


# Each secret name, and each token format, contains at least one of these, in lower case.
_NAME_PARTS = (
    *("auth", "bearer", "conn", "cookie", "cred", "dsn", "jwt"),
    *("key", "pass", "pwd", "secret", "sign", "token"),
)
# Grouped by a part that is looked for first: what all of a group contain, and most texts do not.
_TOKEN_PARTS = (
    (
        "_",
        (
            *("dop_", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_", "gsk_", "hf_", "ls__", "lsv2_"),
            *("npm_", "r8_", "rk_", "shpat_", "sk_", "whsec_"),
        ),
    ),
    ("-", ("glpat-", "nvapi-", "pplx-", "pypi-", "sk-", "tvly-", "xai-", "xapp-", "xox")),
    ("sg.", ("sg.",)),
    ("ya29.", ("ya29.",)),
    ("aiza", ("aiza",)),
    ("akia", ("akia",)),
    ("asia", ("asia",)),
    ("eyj", ("eyj",)),
)


def redact_secrets(text: str) -> str:
    """Return the text without API keys, tokens, passwords, private keys and credentials in URLs."""
    if type(text) is Clean:
        return text
    # Most texts have no secrets. Looking for these parts first makes those texts twenty times as fast.
    lower = text.lower()
    if "private key" in lower:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    for part in _NAME_PARTS:  # any(…) takes twice as long, and every text of an event comes here
        if part in lower:
            text = _without_named(text)
            break
    for char, parts in _TOKEN_PARTS:
        if char in lower and any(part in lower for part in parts):
            text = _TOKEN.sub(REDACTED, text)
            break
    if "://" in text:
        text = _URL.sub(f"://{REDACTED}@", text)
    if "bearer" in lower or "basic" in lower:
        text = _SCHEME.sub(rf"\g<scheme>{REDACTED}", text)
    return text


def shorten(text: str, characters: int) -> str:
    """Return the beginning of a text without secrets: at most so many characters, and `…` if it was cut."""
    if type(text) is Clean:
        return text if len(text) <= characters else text[:characters] + "…"
    window = 4 * characters + 2 * _MARGIN
    redacted = redact_secrets(text[:window])
    if len(text) > window:
        redacted = redacted[:-_MARGIN]
        return redacted[:characters] + "…"
    return redacted if len(redacted) <= characters else redacted[:characters] + "…"


def shorten_to_end(text: str, characters: int) -> str:
    """Return the end of a text without secrets: at most so many characters, after `…` if it was cut."""
    window = text[-characters - 2 * _MARGIN_BEFORE :]
    redacted = redact_secrets(window)
    if len(window) < len(text):
        redacted = redacted[_MARGIN_BEFORE:]
        begin = _BETWEEN_SECRETS.search(redacted)
        redacted = redacted[begin.start() :] if begin else ""
    elif len(redacted) <= characters:
        return redacted
    return "…" + redacted[max(len(redacted) - characters, 0) :]


def _without_named(text: str) -> str:
    """Return the text without values of secret names: `password=…`, `"token": "…"`, `--api-key …`."""
    parts: list[str] = []
    done = 0
    for match in _NAME.finditer(text):
        name = match["flag"] or match["element"] or match["name"]
        if match.end() >= done and is_secret_name(name):
            end = _end_of_value(text, match.end(), name)
            if end > match.end():
                parts += (text[done : match.end()], REDACTED)
                done = end
    return "".join(parts) + text[done:]


def _end_of_value(text: str, start: int, name: str) -> int:
    if text.startswith(REDACTED, start):
        start += len(REDACTED)
    elif text[start : start + 1] in _CLOSING:
        return _end_of_brackets(text, start)
    value = _VALUE.match(text, start)
    if value is None:
        return start
    if value["quote"] or value["escaped"]:
        return value.end()
    if name.lower().endswith(("authorization", "cookie")) and (line := _HEADER.match(text, start)):
        return max(value.end(), line.end())
    if "(" in value[0]:  # the repr of an object
        return _end_of_brackets(text, text.index("(", start))
    return value.end()


def _end_of_brackets(text: str, start: int) -> int:
    """Return the index after the bracket that closes the one at `start`: the text's end if none does."""
    expected: list[str] = []
    quote = ""
    for at in range(start, len(text)):
        char = text[at]
        if quote:
            quote = "" if char == quote and text[at - 1] != "\\" else quote
        elif char in "\"'":
            quote = char
        elif char in _CLOSING:
            expected.append(_CLOSING[char])
        elif char == expected[-1]:
            expected.pop()
            if not expected:
                return at + 1
    return len(text)
