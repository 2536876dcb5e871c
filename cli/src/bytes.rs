//! Bytes in JSON.

use serde::{Serialize, Serializer};

/// One field that holds bytes: text where they are UTF-8, base64 under another name where they are not.
pub(crate) struct Bytes<B> {
    name: &'static str,
    bytes: Option<B>,
}

impl<B: AsRef<[u8]>> Bytes<B> {
    pub(crate) fn new(name: &'static str, bytes: Option<B>) -> Bytes<B> {
        Bytes { name, bytes }
    }
}

impl<B: AsRef<[u8]>> Serialize for Bytes<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match self.bytes.as_ref().map(AsRef::as_ref).map(|bytes: &[u8]| (bytes, std::str::from_utf8(bytes))) {
            None => map.serialize_entry(self.name, &None::<&str>)?,
            Some((_, Ok(text))) => map.serialize_entry(self.name, text)?,
            Some((bytes, Err(_))) => map.serialize_entry(&format!("{}_base64", self.name), &base64(bytes))?,
        }
        map.end()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let used = digit <= three.len();
            let value = (word >> (18 - 6 * digit)) & 63;
            text.push(if used { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_its_rfc() {
        let vectors = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (size, expected) in vectors.iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..size]), *expected);
        }
        assert_eq!(base64(&[0xff, 0xfe]), "//4=");
    }

    #[test]
    fn bytes_are_text_or_base64_or_null() {
        let json = |bytes| serde_json::to_string(&Bytes::new("key", bytes)).expect("a map of one");
        assert_eq!(json(Some(b"a\"b".as_slice())), r#"{"key":"a\"b"}"#);
        assert_eq!(json(Some(b"\xff\xfe".as_slice())), r#"{"key_base64":"//4="}"#);
        assert_eq!(json(None), r#"{"key":null}"#);
    }
}
