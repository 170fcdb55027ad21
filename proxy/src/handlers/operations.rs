//! What a client may do to a resource, as a set of bits. Nobody is denied anything yet, so it is
//! all that makes sense for the kind of resource.

use std::ops::RangeInclusive;

/// Kafka's numbers of operations (`AclOperation`).
const READ: u32 = 3;
const WRITE: u32 = 4;
const CREATE: u32 = 5;
const DELETE: u32 = 6;
const ALTER: u32 = 7;
const DESCRIBE: u32 = 8;
const CLUSTER_ACTION: u32 = 9;
const CONFIGS: RangeInclusive<u32> = 10..=11;
const IDEMPOTENT_WRITE: u32 = 12;

/// Of a topic.
pub(super) const TOPIC: i32 = bits(&[READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE]) | configs();
/// Of the cluster.
pub(super) const CLUSTER: i32 =
    bits(&[CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, IDEMPOTENT_WRITE]) | configs();

/// `operations`, or the number that says that they were not asked for.
pub(super) fn asked(asked: bool, operations: i32) -> i32 {
    if asked { operations } else { i32::MIN }
}

const fn configs() -> i32 {
    bits(&[*CONFIGS.start(), *CONFIGS.end()])
}

const fn bits(operations: &[u32]) -> i32 {
    let mut bits = 0;
    let mut i = 0;
    while i < operations.len() {
        bits |= 1 << operations[i];
        i += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_bits_that_kafka_sends_without_an_authorizer() {
        assert_eq!((TOPIC, CLUSTER), (0xdf8, 0x1fa0));
        assert_eq!(asked(false, TOPIC), i32::MIN);
    }
}
