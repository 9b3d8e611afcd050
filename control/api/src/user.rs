//! Names of this machine's users.

use nix::unistd::{Uid, User};

/// The user's name, or `uid 1000` for one without a name. Asks the name service, so it may wait.
pub(crate) fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => crate::printable(&user.name).into_owned(),
        _ => format!("uid {uid}"),
    }
}

/// The name of the user that this process runs as. Asks the name service, so it may wait.
#[must_use]
pub fn local_user() -> String {
    name_of(Uid::effective().as_raw())
}
