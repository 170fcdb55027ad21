//! ApiVersions: what is spoken here. Answered before anything else, in a form that a client of any
//! age can read (KIP-511).

use weir_protocol::{
    ApiKey, ErrorCode,
    messages::{ApiVersionsRequest, ApiVersionsResponse, api_versions::ApiVersion},
};

/// From this version on a client says who it is.
const NAMES_SOFTWARE: i16 = 3;

pub(super) fn handle(request: &ApiVersionsRequest, version: i16) -> ApiVersionsResponse {
    let named = is_software_name(&request.client_software_name)
        && is_software_name(&request.client_software_version);
    if version >= NAMES_SOFTWARE && !named {
        return ApiVersionsResponse {
            error_code: ErrorCode::INVALID_REQUEST,
            ..ApiVersionsResponse::default()
        };
    }
    let api_keys = ApiKey::ALL.iter().copied().map(range).collect();
    ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() }
}

/// The answer to an ApiVersions request of a version that is not known; to be sent in version 0.
pub(super) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![range(ApiKey::ApiVersions)],
        ..ApiVersionsResponse::default()
    }
}

fn range(api: ApiKey) -> ApiVersion {
    let versions = api.advertised();
    ApiVersion { api_key: api as i16, min_version: versions.min, max_version: versions.max }
}

/// Letters, digits, dots and dashes, beginning and ending with a letter or digit.
fn is_software_name(name: &str) -> bool {
    let ends_well = |end: Option<char>| end.is_some_and(|end| end.is_ascii_alphanumeric());
    ends_well(name.chars().next())
        && ends_well(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_client(name: &str, version: &str) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: version.into(),
        }
    }

    #[test]
    fn offers_what_is_advertised() {
        let response = handle(&from_client("apache-kafka-java", "4.3.0"), 4);
        assert_eq!(response.error_code, ErrorCode::NONE);
        let of = |key| response.api_keys.iter().find(|api| api.api_key == key).unwrap();
        assert_eq!((of(0).min_version, of(0).max_version), (0, 11), "KAFKA-18659; no KIP-890 yet");
        assert_eq!((of(1).min_version, of(1).max_version), (4, 18));
        assert_eq!(of(11).min_version, 0);
        assert_eq!(response.api_keys.len(), ApiKey::ALL.len());
        assert!(response.supported_features.is_empty() && response.finalized_features.is_empty());
    }

    #[test]
    fn malformed_software_names_are_an_error_from_version_3_on() {
        for (name, version) in
            [("", "1"), ("a", ""), ("-a", "1"), ("a", "1."), ("a b", "1"), ("ä", "1")]
        {
            let request = from_client(name, version);
            assert_eq!(handle(&request, 3).error_code, ErrorCode::INVALID_REQUEST, "{name:?}");
            assert_eq!(handle(&request, 2).error_code, ErrorCode::NONE);
        }
        assert_eq!(handle(&from_client("x", "2.0-rc.1"), 3).error_code, ErrorCode::NONE);
    }

    #[test]
    fn an_unknown_version_is_told_the_known_ones() {
        let response = unsupported();
        assert_eq!(response.error_code, ErrorCode::UNSUPPORTED_VERSION);
        let [only] = &response.api_keys[..] else { panic!("one key") };
        assert_eq!((only.api_key, only.min_version, only.max_version), (18, 0, 4));
    }
}
