//! What a NameNode's exceptions mean.

use hdfs_native::HdfsError;

use crate::journal::append::{FileError, FileErrorKind};

/// The exceptions that are told apart, by the ends of their class names.
const KNOWN: [(&str, FileErrorKind); 9] = [
    ("FileAlreadyExistsException", FileErrorKind::Exists),
    ("AlreadyBeingCreatedException", FileErrorKind::Exists),
    ("FileNotFoundException", FileErrorKind::NotFound),
    ("ParentNotDirectoryException", FileErrorKind::NotFound),
    ("LeaseExpiredException", FileErrorKind::Taken),
    ("NSQuotaExceededException", FileErrorKind::NoSpace),
    ("DSQuotaExceededException", FileErrorKind::NoSpace),
    ("QuotaExceededException", FileErrorKind::NoSpace),
    ("QuotaByStorageTypeExceededException", FileErrorKind::NoSpace),
];

/// What kind of failure an error is.
pub(super) fn kind(error: &HdfsError) -> FileErrorKind {
    match error {
        HdfsError::AlreadyExists(_) => FileErrorKind::Exists,
        HdfsError::FileNotFound(_) => FileErrorKind::NotFound,
        HdfsError::RPCError(class, _) => {
            let known = KNOWN.iter().find(|(name, _)| class.ends_with(name));
            known.map_or(FileErrorKind::Unclear, |(_, kind)| *kind)
        }
        _ => FileErrorKind::Unclear,
    }
}

/// What a person needs to know of it: a NameNode sends its whole stack.
pub(super) fn text(error: &HdfsError) -> String {
    match error {
        HdfsError::RPCError(class, message) => {
            let class = class.rsplit('.').next().unwrap_or(class);
            format!("{class}: {}", message.lines().next().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

/// An error about a file.
pub(super) fn of(path: &str, error: &HdfsError) -> FileError {
    FileError::new(kind(error), path, text(error))
}

/// The same for who reads and writes objects.
pub(super) fn of_object(path: &str, error: HdfsError) -> object_store::Error {
    let (kind, path) = (kind(&error), path.to_owned());
    let denied = matches!(&error, HdfsError::RPCError(class, _) if class.ends_with("AccessControlException"));
    let source: Box<dyn std::error::Error + Send + Sync> = match kind {
        FileErrorKind::NoSpace => {
            std::io::Error::new(std::io::ErrorKind::QuotaExceeded, text(&error)).into()
        }
        _ => text(&error).into(),
    };
    match kind {
        FileErrorKind::Exists => object_store::Error::AlreadyExists { path, source },
        FileErrorKind::NotFound => object_store::Error::NotFound { path, source },
        _ if denied => object_store::Error::PermissionDenied { path, source },
        _ => object_store::Error::Generic { store: "hdfs", source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_known_by_their_classes_and_said_in_one_line() {
        let error =
            |class: &str| HdfsError::RPCError(class.to_owned(), "why\n\tat x.y.Z\n".to_owned());
        for (class, expected) in [
            ("org.apache.hadoop.fs.FileAlreadyExistsException", FileErrorKind::Exists),
            ("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", FileErrorKind::Taken),
            ("org.apache.hadoop.hdfs.protocol.DSQuotaExceededException", FileErrorKind::NoSpace),
            ("java.io.FileNotFoundException", FileErrorKind::NotFound),
            ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", FileErrorKind::Unclear),
        ] {
            assert_eq!(kind(&error(class)), expected, "{class}");
        }
        let said = text(&error("org.apache.hadoop.hdfs.server.namenode.SafeModeException"));
        assert_eq!(said, "SafeModeException: why");
    }
}
