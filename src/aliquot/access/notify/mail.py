"""Mail by SMTP: one to each address, so that nobody reads who else was told. STARTTLS is done or nothing is sent."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from aliquot.access.core.life.effects import Audience
from aliquot.access.core.people import Identity
from aliquot.access.notify.messages import Message
from aliquot.access.notify.settings import MailSettings, Security, is_address
from aliquot.access.outside.calling import Unreached
from aliquot.access.outside.secrets import NoSecret, read_secret
from aliquot.clock import Clock


def mail_of(message: Message, *, sender: str, address: str, now_s: float) -> EmailMessage:
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = address
    # An encoded word in somebody's name would be decoded here, and may hold the end of a line.
    mail["Subject"] = message.title.replace("=?", "= ?")
    mail["Date"] = formatdate(now_s)
    mail["Message-ID"] = f"<{message.key}@{domain}>"
    mail["References"] = f"<{message.grant}@{domain}>"
    # No answer of an absent reader's mailbox to it.
    mail["Auto-Submitted"] = "auto-generated"
    lines = [message.title, "", *(f"{name}: {value}" for name, value in message.facts)]
    if message.link:
        lines += ["", message.link]
    mail.set_content("\n".join(lines) + "\n")
    return mail


class Mail:
    def __init__(self, name: str, settings: MailSettings, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock

    def addresses(self, message: Message, holder: Identity | None) -> tuple[str, ...]:
        if message.news not in self._settings.news:
            return ()
        found = [one for audience in message.to for one in self._settings.to.get(audience, ())]
        if self._settings.holder and Audience.HOLDER in message.to and holder is not None:
            # It is whatever their issuer has there.
            found += [holder.email] if is_address(holder.email) else []
        return tuple(dict.fromkeys(found))

    async def tell(self, message: Message, address: str) -> None:
        """Raises Unreached."""
        mail = mail_of(message, sender=self._settings.sender, address=address, now_s=self._clock.now())
        await asyncio.to_thread(self._send, mail, address)

    def _send(self, mail: EmailMessage, address: str) -> None:
        settings = self._settings
        try:
            with self._connected() as smtp:
                if settings.user:
                    smtp.login(settings.user, read_secret(settings.secret_file))
                smtp.send_message(mail, settings.sender, [address])
        except NoSecret as error:
            raise Unreached(str(error)) from None
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise Unreached(f"{settings.host} does not take mail for {address}: {code}") from None
        except smtplib.SMTPResponseException as error:
            raise Unreached(f"{settings.host}: it answers {error.smtp_code}") from None
        except smtplib.SMTPNotSupportedError:
            raise Unreached(
                f"{settings.host}: it does not offer {settings.security.value}, or no login"
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise Unreached(f"{settings.host}: its certificate: {error.verify_message}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise Unreached(f"{settings.host}: {why}") from None

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        domain = settings.sender.rpartition("@")[2]
        if settings.security is Security.TLS:
            return smtplib.SMTP_SSL(
                settings.host, settings.port, domain, timeout=settings.timeout_s, context=self._trust()
            )
        smtp = smtplib.SMTP(settings.host, settings.port, domain, timeout=settings.timeout_s)
        if settings.security is Security.STARTTLS:
            try:
                smtp.starttls(context=self._trust())
            except BaseException:
                smtp.close()
                raise
        return smtp

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file or None)
