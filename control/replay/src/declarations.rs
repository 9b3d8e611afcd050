//! Suppliers' declarations in, MUD files of roles out.

use std::fs;

use loadlock_learn::Declared;

use crate::error::ReplayError;
use crate::learning::Lesson;
use crate::options::ReplayOptions;

/// Reads all declarations.
pub(crate) fn read(options: &ReplayOptions) -> Result<Declared, ReplayError> {
    let mut all = Declared::default();
    for file in &options.declared {
        let text = fs::read_to_string(file)
            .map_err(|source| ReplayError::ReadDeclared { file: file.clone(), source })?;
        let name = file.display().to_string();
        let declared = loadlock_declare::read(&name, &text, &options.declared_for)
            .map_err(ReplayError::Declared)?;
        all.ports.extend(declared.ports);
    }
    Ok(all)
}

/// Writes a MUD file for each role: `role-1.json` and so on.
pub(crate) fn write_mud(options: &ReplayOptions, lesson: &Lesson) -> Result<(), ReplayError> {
    let Some(folder) = &options.save_mud else { return Ok(()) };
    let failed =
        |source| ReplayError::Write { what: "MUD files", file: Some(folder.clone()), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let decisions = lesson.decisions();
    for role in 0..decisions.roles.count() {
        let name = format!("role-{}.json", role + 1);
        // RFC 8520 wants the address from which the file is to be had; who publishes it puts his own there.
        let url = format!("https://loadlock.invalid/{name}");
        let text =
            loadlock_declare::to_mud(&decisions, u16::try_from(role).unwrap_or(u16::MAX), &url);
        fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(())
}
