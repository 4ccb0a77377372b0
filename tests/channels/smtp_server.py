"""A mail server: smtp_server.py (starttls|login|tls|none) CERTIFICATE KEY USER PASSWORD

`login` is `starttls` with the mechanism LOGIN alone. Prints its port, then one JSON object for each mail that it takes, as Python's own library reads it. An address that begins with `nobody` is refused for good, one with `later` for now; a mail whose subject holds `FULL` is refused.
"""

import asyncio
import json
import logging
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult

mode, certificate, key, user, password = sys.argv[1:]
# What clients do wrong is what the tests are about.
logging.disable(logging.CRITICAL)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


def login(server, session, envelope, mechanism, data):
    ok = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=ok, handled=False, auth_data=data)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        if "FULL" in mail["subject"]:
            return "552 5.2.2 mailbox full"
        parts = {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in mail.walk() if not part.is_multipart()}
        print(json.dumps({
            "hello": session.host_name,
            "encrypted": bool(session.ssl) or mode == "tls",
            "login": session.auth_data.login.decode() if session.auth_data else None,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "type": mail.get_content_type(),
            "parts": parts,
            "defects": [str(d) for part in mail.walk() for d in part.defects],
            "is_ascii": envelope.content.isascii(),
            "longest_line": max(map(len, envelope.content.split(b"\r\n"))),
        }), flush=True)
        return "250 OK"


async def main():
    starttls = mode in ("starttls", "login")

    def session():
        return SMTP(
            Handler(),
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=login,
            auth_require_tls=starttls,
            auth_exclude_mechanism=["PLAIN"] if mode == "login" else None,
            enable_SMTPUTF8=True,
        )

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", 0, ssl=context if mode == "tls" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
