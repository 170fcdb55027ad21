//! Stores of Alibaba Cloud and Tencent Cloud, through OpenDAL. Both take a condition with a create
//! (`x-oss-forbid-overwrite`, `x-cos-forbid-overwrite`); whether they keep it, the probe at the start says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use object_store::ObjectStore;
use object_store_opendal::OpendalStore;
use opendal::{Operator, layers::TimeoutLayer, services};

/// How long a request may take, and each piece of what it transfers.
const REQUEST_WITHIN: Duration = Duration::from_secs(60);

/// Options of both.
const OF_BOTH: [&str; 2] = ["endpoint", "security_token"];
const OF_OSS: [&str; 10] = [
    "access_key_id",
    "access_key_secret",
    "addressing_style",
    "external_id",
    "oidc_provider_arn",
    "oidc_token_file",
    "role_arn",
    "role_session_name",
    "server_side_encryption",
    "server_side_encryption_key_id",
];
const OF_COS: [&str; 2] = ["secret_id", "secret_key"];

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asia {
    /// Object Storage Service of Alibaba Cloud.
    Oss,
    /// Cloud Object Storage of Tencent Cloud.
    Cos,
}

impl Asia {
    /// The one whose URLs begin so.
    pub(super) fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "oss" => Some(Self::Oss),
            "cos" => Some(Self::Cos),
            _ => None,
        }
    }

    /// Whether it has such an option.
    pub(super) fn knows(self, option: &str) -> bool {
        let own = match self {
            Self::Oss => &OF_OSS[..],
            Self::Cos => &OF_COS[..],
        };
        own.iter().chain(&OF_BOTH).any(|known| *known == option)
    }

    /// The store. Nothing is asked of it yet.
    pub(super) fn open(
        self,
        bucket: &str,
        options: &BTreeMap<String, String>,
    ) -> opendal::Result<Arc<dyn ObjectStore>> {
        // For the whole process; once is enough, and more does no harm.
        opendal::install_default();
        let bucket = [("bucket".to_owned(), bucket.to_owned())];
        let options = options.clone().into_iter().chain(bucket);
        let operator = match self {
            Self::Oss => Operator::from_iter::<services::Oss>(options)?,
            Self::Cos => Operator::from_iter::<services::Cos>(options)?,
        };
        let limits =
            TimeoutLayer::new().with_timeout(REQUEST_WITHIN).with_io_timeout(REQUEST_WITHIN);
        Ok(Arc::new(OpendalStore::new(operator.layer(limits))))
    }
}
