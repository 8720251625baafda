//! Writing initial RAM disks: the kernel's "newc" cpio format.
//!
//! Archives may be put one after the other: the kernel unpacks them in turn. So the large,
//! unchanging part is cached and what a scenario adds goes into a small archive behind it.

use std::io::{Result, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;

/// An archive being written.
pub(super) struct Archive<W> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// Starts an archive.
    pub(super) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(name, DIRECTORY | 0o755, b"")
    }

    /// Adds a file with the permissions `mode`.
    pub(super) fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        self.entry(name, REGULAR | mode, data)
    }

    /// Adds all that is below `dir`, in a fixed order.
    pub(super) fn tree(&mut self, dir: &Path) -> Result<()> {
        self.tree_below(dir, "")
    }

    fn tree_below(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        let mut entries = std::fs::read_dir(dir)?.collect::<Result<Vec<_>>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let meta = path.symlink_metadata()?;
            if meta.is_symlink() {
                let target = std::fs::read_link(&path)?;
                self.entry(&name, SYMLINK | 0o777, target.as_os_str().as_bytes())?;
            } else if meta.is_dir() {
                self.directory(&name)?;
                self.tree_below(&path, &format!("{name}/"))?;
            } else {
                let mode = meta.permissions().mode() & 0o777;
                self.file(&name, mode, &std::fs::read(&path)?)?;
            }
        }
        Ok(())
    }

    /// Ends the archive and returns where it went, padded so that another archive may follow.
    pub(super) fn finish(mut self) -> Result<W> {
        self.entry("TRAILER!!!", 0, b"")?;
        Ok(self.out)
    }

    /// Writes the header of thirteen hexadecimal fields, the name and the data, each padded to four
    /// bytes.
    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        let too_long = |_| std::io::Error::other(format!("{name} is too large for an archive"));
        let size = u32::try_from(data.len()).map_err(too_long)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_long)?;
        self.inode += 1;
        let links = 1;
        let fields = [
            self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0,
        ];
        write!(self.out, "070701")?;
        for field in fields {
            write!(self.out, "{field:08X}")?;
        }
        self.out.write_all(name.as_bytes())?;
        // The header has 110 bytes and the name ends with a zero.
        let header = 110 + name.len() + 1;
        self.out.write_all(&[0; 4][..1 + padding(header)])?;
        self.out.write_all(data)?;
        self.out.write_all(&[0; 4][..padding(data.len())])
    }
}

fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_reads_back() {
        let mut archive = Archive::new(Vec::new());
        archive.directory("d").unwrap();
        archive.file("d/f", 0o644, b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.cpio");
        std::fs::write(&file, bytes).unwrap();
        let script = "cpio -i --quiet <a.cpio && cat d/f";
        let text = crate::proc::Cmd::new("sh")
            .args(["-c", script])
            .dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(text, "hello");
    }
}
