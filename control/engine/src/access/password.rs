//! Passwords: Argon2id with the crate's defaults (19 MiB, two passes: OWASP's), which are kept in the hash itself.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use loadlock_api::PASSWORD_BYTES;

/// Says what is wrong with a new password.
pub(super) fn check(password: &str, user: &str) -> Result<(), String> {
    let (least, most) = PASSWORD_BYTES;
    if !(least..=most).contains(&password.len()) {
        return Err(format!(
            "the password has {} bytes, allowed are {least} to {most}",
            password.len()
        ));
    }
    if password.to_lowercase().contains(&user.to_lowercase()) && user.len() > 2 {
        return Err("the password contains the user's name".to_owned());
    }
    Ok(())
}

/// The hash as a PHC string, with a salt of its own.
pub(super) fn hash(password: &str) -> Result<String, String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| format!("no randomness: {error}"))?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| format!("Argon2 failed: {error}"))
}

/// Compares in constant time (password-hash's own). A password that is too long costs the same as one that is wrong.
pub(super) fn is_right(password: &str, hash: &str) -> bool {
    let is_possible = password.len() <= PASSWORD_BYTES.1;
    let password = if is_possible { password } else { "" };
    let parsed = PasswordHash::new(hash);
    let verified = parsed.map(|hash| Argon2::default().verify_password(password.as_bytes(), &hash));
    is_possible && matches!(verified, Ok(Ok(())))
}
