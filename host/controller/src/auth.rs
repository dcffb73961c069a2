//! Who may come in: whoever shows the admin token.
//!
//! Only the token's hash is kept, and hashes are compared, in a time that does not depend on where
//! they differ.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The hash of the admin token.
#[derive(Clone)]
pub(crate) struct Gate([u8; 32]);

impl Gate {
    pub(crate) fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether this is the token.
    pub(crate) fn admits(&self, token: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(token).into();
        self.0.ct_eq(&shown).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_admitted() {
        let gate = Gate::new("secret");
        assert!(gate.admits("secret"));
        for wrong in ["", "Secret", "secret ", "secre"] {
            assert!(!gate.admits(wrong), "{wrong}");
        }
    }
}
