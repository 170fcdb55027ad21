//! SaslHandshake, SaslAuthenticate: no listener authenticates yet, so both come at a wrong time.

use weir_protocol::{
    ErrorCode,
    messages::{SaslAuthenticateResponse, SaslHandshakeResponse},
};

pub(super) fn handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        ..SaslHandshakeResponse::default()
    }
}

pub(super) fn authenticate() -> SaslAuthenticateResponse {
    SaslAuthenticateResponse {
        error_code: ErrorCode::ILLEGAL_SASL_STATE,
        error_message: Some("this listener does not authenticate; connect without sasl".into()),
        ..SaslAuthenticateResponse::default()
    }
}
