//! Keys that sign what is in a remote store: ed25519 (RFC 8032), with a text form for configuration files.

use ed25519_compact::{KeyPair, Seed, Signature};

use crate::base::text::{hex, is_hex};

const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

/// A key that verifies signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads `ed25519:<64 hexadecimal digits>`.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(bytes(text.trim().strip_prefix(PUBLIC)?)?))
    }

    /// A short name of the key: the first 16 digits.
    pub fn id(&self) -> String {
        hex(&self.0[..8])
    }

    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let key = ed25519_compact::PublicKey::new(self.0);
        bytes(signature).is_some_and(|signature| key.verify(message, &Signature::new(signature)).is_ok())
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PUBLIC}{}", hex(&self.0))
    }
}

/// A key that signs. It has no `Debug`, so that it is in no message.
pub struct SecretKey(KeyPair);

impl SecretKey {
    /// A new key; `None` if the system has no random numbers.
    pub fn generate() -> Option<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(Self(KeyPair::from_seed(Seed::new(seed))))
    }

    /// Reads `ed25519-secret:<64 hexadecimal digits>`, the seed of the key.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(KeyPair::from_seed(Seed::new(bytes(text.trim().strip_prefix(SECRET)?)?))))
    }

    /// The text for [`Self::parse`].
    pub fn text(&self) -> String {
        format!("{SECRET}{}", hex(self.0.sk.seed().as_ref()))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.pk)
    }

    /// A signature in hexadecimal. The same message always has the same signature.
    pub fn sign(&self, message: &[u8]) -> String {
        hex(self.0.sk.sign(message, None).as_ref())
    }
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    if !is_hex(hex, 2 * N) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        // RFC 8032, section 7.1, test 2.
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let key = SecretKey::parse(&format!("{SECRET}{seed}\n")).unwrap();
        let public = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!((key.public().to_string(), key.public().id()), (public.to_owned(), "3d4017c3e843895a".to_owned()));
        let signature = key.sign(&[0x72]);
        assert!(signature.starts_with("92a009a9f0d4cab8720e820b5f642540"));
        let check = |message: &[u8], signature: &str| PublicKey::parse(public).unwrap().verifies(message, signature);
        assert!(check(&[0x72], &signature));
        assert!(!check(&[0x73], &signature));
        assert!(!check(&[0x72], &signature[..126]));
        assert!(!check(&[0x72], &signature.replacen('9', "8", 1)));
        assert!(!SecretKey::generate().unwrap().public().verifies(&[0x72], &signature));
    }

    #[test]
    fn texts() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(SecretKey::parse(&key.text()).unwrap().public(), key.public());
        for text in ["", "ed25519:", "ed25519:0g", "ed25519-secret:00", &key.text(), &key.public().to_string()[..70]] {
            assert_eq!(PublicKey::parse(text), None, "{text}");
        }
    }
}
