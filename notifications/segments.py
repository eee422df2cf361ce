"""How long a text is for the network that carries it."""

from math import ceil

# GSM 03.38 default alphabet; the second row costs an escape, so two septets a sign.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPED = frozenset("^{}\\[~]|€\f")
GSM_ALONE, GSM_JOINED = 160, 153
UCS2_ALONE, UCS2_JOINED = 70, 67


def segments(text: str) -> int:
    """Return the number of segments a text needs: GSM-7 if it can, UCS-2 otherwise.

    One sign outside the GSM alphabet more than halves what fits (3GPP TS 23.038).
    """
    if all(sign in GSM or sign in ESCAPED for sign in text):
        length = len(text) + sum(sign in ESCAPED for sign in text)
        alone, joined = GSM_ALONE, GSM_JOINED
    else:
        length = len(text.encode("utf-16-be")) // 2
        alone, joined = UCS2_ALONE, UCS2_JOINED
    return 1 if length <= alone else ceil(length / joined)
