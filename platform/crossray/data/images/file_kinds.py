"""What kind of file it is, by its first bytes, where ingest does not read its format."""

from typing import NamedTuple

JPEG_LS = 0xF7
_START_OF_FRAME = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}
_LONGEST = 10  # bytes from the marker to the number of samples
_REMEDY = "convert it to JPEG or PNG"
_AT_START = (
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS", "a Photoshop document"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"NRRD", "NRRD"),
    (b"SIMPLE  =", "FITS"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "HDF5"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "compressed by gzip"),
)
_NETPBM = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF")
_BRANDS = (
    ((b"avif", b"avis"), "AVIF"),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
)


class FrameHeader(NamedTuple):
    """What a compressed frame says of itself; `precision` is its bits a sample."""

    rows: int
    columns: int
    samples: int
    precision: int


def frame_header(data: bytes) -> tuple[int, FrameHeader] | None:
    """The marker and the header of the frame of a JPEG or JPEG-LS file (ITU-T T.81, B.2.2).

    None where `data` ends or breaks before it.
    """
    at = 2
    while at + _LONGEST <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            rows, columns = (int.from_bytes(data[at + k : at + k + 2], "big") for k in (5, 7))
            return marker, FrameHeader(rows, columns, data[at + 9], data[at + 4])
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def unread_kind(data: bytes) -> str | None:
    """What the file is and what to do, where its first bytes show it; else None."""
    head = data[:1024]
    if head[128:132] == b"DICM":
        return "the file is DICOM; ingest its folder with `crossray ingest dicom`"
    if head.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer; fetch its content with `git lfs pull`"
    kind = _jpeg_process(data) if head.startswith(b"\xff\xd8") else _kind(head)
    return kind and f"the file is {kind}, which is not read; {_REMEDY}"


def _kind(head: bytes) -> str | None:
    for magic, kind in _AT_START:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        brands = [head[at : at + 4] for at in range(8, min(len(head), 64), 4)]
        for known, kind in _BRANDS:
            if any(brand in known for brand in brands):
                return kind
        return "a video or another file of the MP4 family"
    if head[:2] in _NETPBM and head[2:3].isspace():
        return "Netpbm"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if text.startswith((b"<svg", b"<?xml", b"<!--")) and b"<svg" in text:
        return "SVG"
    return None


def _jpeg_process(data: bytes) -> str | None:
    """What a JPEG's frame is that is not read; None for 8 bits a channel."""
    if (found := frame_header(data)) is None:
        return None
    marker, header = found
    if marker == JPEG_LS:
        return "JPEG-LS"
    return None if header.precision == 8 else f"a JPEG of {header.precision} bits a channel"
