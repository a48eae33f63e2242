//! Files that say where something stands.

use std::{fs, io, path::Path};

/// Replaces a file as a whole, so that it is never half written; its folder is made if it is not there.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let next = path.with_extension("next");
    fs::write(&next, text)?;
    fs::rename(&next, path)
}
