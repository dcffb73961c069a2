//! Values on their way from one process of this machine to another, in no file and no argument.

use std::fmt;
use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::SecretValue;

/// What is read at first: most orders fit.
const FIRST_BYTES: usize = 64 * 1024;

/// A value as base64 in JSON: any bytes pass, and nothing has to be escaped into a second buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried(pub(crate) SecretValue);

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0.expose(), &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Carried;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Carried, E> {
                let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
                // The library's error would show a part of the value.
                let count = STANDARD
                    .decode_slice(text, &mut bytes)
                    .map_err(|_| E::custom("a value is not base64"))?;
                bytes.truncate(count);
                Ok(Carried(SecretValue(bytes)))
            }

            fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Carried, E> {
                Err(E::custom("a value is not text"))
            }
        }
        deserializer
            .deserialize_str(Text)
            .map_err(|_| D::Error::custom("a value is not base64 text"))
    }
}

/// One line of JSON in a buffer that is wiped, and that never grew: growing leaves copies behind.
pub(crate) fn line(message: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(1);
    serde_json::to_writer(&mut count, message)?;
    let mut line = Zeroizing::new(Vec::with_capacity(count.0));
    serde_json::to_writer(&mut *line, message)?;
    line.push(b'\n');
    Ok(line)
}

/// All there is to read, in a buffer that is wiped, as are those it outgrew.
pub(crate) fn read_all(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; FIRST_BYTES]);
    let mut count = 0;
    loop {
        if count == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * count]);
            if let Some(start) = larger.get_mut(..count) {
                start.copy_from_slice(&bytes);
            }
            bytes = larger;
        }
        match from.read(bytes.get_mut(count..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(count);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_pass_in_a_buffer_that_never_grew() {
        let value = Carried(SecretValue::new((0..=255).collect()));
        let line = line(&[&value]).unwrap();
        assert_eq!(line.len(), line.capacity());
        assert_eq!(line.last(), Some(&b'\n'));
        let back: Vec<Carried> = serde_json::from_slice(&line).unwrap();
        assert_eq!(back, [value]);
    }

    #[test]
    fn all_is_read_however_much_there_is() {
        for size in [0, 1, FIRST_BYTES, FIRST_BYTES + 1, 5 * FIRST_BYTES] {
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            assert_eq!(*read_all(bytes.as_slice()).unwrap(), bytes);
        }
    }

    #[test]
    fn an_error_shows_nothing_of_a_value() {
        for bad in [
            "[\"hunter2!\"]",
            "[\"hunter22=\"]",
            "[22334455]",
            "[\"hun\\u0074er\"]",
        ] {
            let error = serde_json::from_str::<Vec<Carried>>(bad)
                .unwrap_err()
                .to_string();
            assert!(
                !error.contains("hunter") && !error.contains("2233"),
                "{error}"
            );
        }
    }
}
