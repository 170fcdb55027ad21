//! InitProducerId (key 22): the id and epoch of an idempotent or transactional producer.

use bytestring::ByteString;
use weir_protocol_derive::Message;

use crate::ErrorCode;

/// A producer without an id, or one that needs a new epoch.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 22, versions = "0-6", flexible = "2+")]
pub struct InitProducerIdRequest {
    /// The transactional id; null for a producer without transactions.
    #[kafka(nullable = "0+")]
    pub transactional_id: Option<ByteString>,
    /// How long a transaction may stay open.
    pub transaction_timeout_ms: i32,
    /// The producer id until now; -1: none.
    #[kafka(versions = "3+", default = -1)]
    pub producer_id: i64,
    /// Its epoch; -1: none.
    #[kafka(versions = "3+", default = -1)]
    pub producer_epoch: i16,
    /// Whether an outside coordinator decides the transactions (KIP-939).
    #[kafka(versions = "6+")]
    pub enable2_pc: bool,
    /// Whether a prepared transaction is to be kept (KIP-939).
    #[kafka(versions = "6+")]
    pub keep_prepared_txn: bool,
}

/// Its id and epoch.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 22, versions = "0-6", flexible = "2+")]
pub struct InitProducerIdResponse {
    /// How long the client is asked to pause.
    #[kafka(ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The producer.
    #[kafka(default = -1)]
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The producer of the transaction that was kept; -1: none.
    #[kafka(versions = "6+", default = -1)]
    pub ongoing_txn_producer_id: i64,
    /// Its epoch.
    #[kafka(versions = "6+", default = -1)]
    pub ongoing_txn_producer_epoch: i16,
}
