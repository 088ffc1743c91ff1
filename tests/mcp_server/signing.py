"""An identity provider that is played: keys, and the tokens it signs."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://id.example.com", "https://memory.example.com/mcp"


class Key:
    """A key pair; `public` is it in the key set."""

    def __init__(self, key_id: str, algorithm: str = "RS256") -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any
        if algorithm[:2] in ("RS", "PS"):
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            described = RSAAlgorithm.to_jwk(self.private.public_key())
        elif algorithm[:2] == "ES":
            curve = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm]
            self.private = ec.generate_private_key(curve)
            described = ECAlgorithm.to_jwk(self.private.public_key())
        else:
            self.private = ed25519.Ed25519PrivateKey.generate()
            described = OKPAlgorithm.to_jwk(self.private.public_key())
        self.public: dict[str, Any] = {**json.loads(described), "kid": key_id, "use": "sig"}

    def token(self, user: Any = "alice", *, without: str = "", header: Any = None, **claims: Any) -> str:
        """A token for a user that is valid for a minute, unless the claims say otherwise."""
        said = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, **claims}
        said.pop(without, None)
        header = {"kid": self.key_id} if header is None else header
        return jwt.encode(said, self.private, self.algorithm, headers=header)


def key_set(*keys: Key | dict[str, Any]) -> dict[str, Any]:
    return {"keys": [one.public if isinstance(one, Key) else one for one in keys]}
