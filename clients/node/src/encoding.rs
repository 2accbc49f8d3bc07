//! The encoding of a text: UTF-8, with or without the byte order mark that some programs write.

/// The byte order mark, which has no meaning in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a UTF-8 byte order mark.
#[inline]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// The error if a text that begins with these bytes is UTF-16 or UTF-32: it has a byte order mark,
/// or its first letter is ASCII beside a zero byte.
pub fn wrong_encoding(start: &[u8]) -> Option<&'static str> {
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
