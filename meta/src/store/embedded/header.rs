//! The first page of the file: who wrote it, in which format.
//!
//! ```text
//! "weir metadata, format 1\n"   the version, for people too (`head -1`)
//! 0 …                           up to 4,096 bytes
//! ```
//!
//! The page is written once, when the file is made, and looked at before anything else is: a file
//! of a newer format is refused without a look at what it holds.

/// The size of the header page.
pub(super) const BYTES: u64 = 4096;

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

const START: &str = "weir metadata, format ";

/// The header page of a file of this format.
pub(super) fn page() -> Vec<u8> {
    let mut page = format!("{START}{FORMAT}\n").into_bytes();
    page.resize(BYTES as usize, 0);
    page
}

/// The format that a header page tells of, or what is wrong with it.
pub(super) fn parse(page: &[u8]) -> Result<u32, &'static str> {
    let rest = page.strip_prefix(START.as_bytes()).ok_or("it does not begin as weir's files do")?;
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or("its header has no end")?;
    let (number, padding) = (&rest[..end], &rest[end + 1..]);
    if padding.iter().any(|byte| *byte != 0) {
        return Err("its header page holds something else");
    }
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    number.ok_or("its header names no format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_page_is_read_back() {
        assert_eq!(page().len() as u64, BYTES);
        assert_eq!(parse(&page()), Ok(FORMAT));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        for at in 0..BYTES as usize {
            let mut bad = page();
            bad[at] ^= 0x40;
            assert_ne!(parse(&bad), Ok(FORMAT), "byte {at}");
        }
        assert!(parse(b"").is_err() && parse(b"weir metadata, format 1").is_err());
    }
}
