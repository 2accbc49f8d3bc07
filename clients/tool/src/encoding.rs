//! How a text is encoded: UTF-8, with or without the mark that some programs begin it with.

/// The byte order mark, which says nothing in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text behind a byte order mark of UTF-8, if there is one.
#[inline]
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// What is wrong with a text that begins with these bytes, if it is UTF-16 or UTF-32: one that has
/// a byte order mark, or a first letter of ASCII with a zero beside it.
pub(crate) fn wrong_encoding(start: &[u8]) -> Option<&'static str> {
    let has_mark = matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 0, 0xfe, 0xff, ..]);
    (has_mark || matches!(start, [0, b' '..=b'~', ..] | [b' '..=b'~', 0, ..]))
        .then_some("this text is UTF-16 or UTF-32: write it as UTF-8, for example with iconv -f UTF-16 -t UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_and_utf_32_are_told_from_utf_8() {
        let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for text in ["1.0", "{", "# x", "\u{feff}1.0", "\u{feff}{"] {
            assert!(wrong_encoding(text.as_bytes()).is_none(), "{text}");
            assert!(wrong_encoding(&utf_16(text, u16::to_le_bytes)).is_some(), "{text}");
            assert!(wrong_encoding(&utf_16(text, u16::to_be_bytes)).is_some(), "{text}");
        }
        assert!(wrong_encoding(b"").is_none() && wrong_encoding(b"1").is_none());
        assert!(wrong_encoding(b"\0\0\xfe\xff").is_some() && wrong_encoding(b"1\0\0\0").is_some());
        assert_eq!(without_mark(b"\xef\xbb\xbf1.0"), b"1.0");
        assert_eq!(without_mark(b"\xef\xbb"), b"\xef\xbb");
    }
}
