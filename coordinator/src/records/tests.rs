//! Held against what Apache Kafka 4.3.1 writes (its `GroupCoordinatorRecordSerde`, run over the
//! records of its `GroupCoordinatorRecordHelpers`).

use proptest::prelude::*;
use uuid::Uuid;
use weir_protocol::messages::offsets_topic::MemberMetadata;

use super::*;

const TOPIC: TopicId = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
const OFFSET_KEY_BYTES: &str = "000100016700066f726465727300000007";
const GROUP_KEY_BYTES: &str = "0002000167";

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn orders() -> OffsetKey {
    OffsetKey { topic: "orders".into(), partition: PartitionIndex(7) }
}

fn committed() -> Committed {
    Committed {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(3),
        metadata: "note".into(),
        at: Timestamp(1_700_000_000_123),
        expires: None,
        topic_id: TOPIC,
    }
}

fn group() -> GroupMetadataValue {
    let member = |id: &str, client: &str, host: &str| MemberMetadata {
        member_id: id.into(),
        client_id: client.into(),
        client_host: host.into(),
        rebalance_timeout: 60_000,
        session_timeout: 10_000,
        ..MemberMetadata::default()
    };
    GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("a-1".into()),
        current_state_timestamp: 1_700_000_000_123,
        members: vec![
            MemberMetadata {
                subscription: Bytes::from_static(&[1, 2, 3]),
                assignment: Bytes::from_static(&[4, 5]),
                ..member("a-1", "a", "/10.0.0.1")
            },
            MemberMetadata {
                group_instance_id: Some("b".into()),
                ..member("b-2", "b", "/10.0.0.2")
            },
        ],
    }
}

#[test]
fn offsets_are_written_as_kafka_writes_them() {
    let id = GroupId::from("g");
    let cases = [
        (
            Some(committed()),
            Some(
                "0004000000000000002a00000003056e6f74650000018bcfe5687b01\
                 00100102030405060708090a0b0c0d0e0f10",
            ),
        ),
        (
            Some(Committed {
                leader_epoch: LeaderEpoch::NONE,
                metadata: "".into(),
                topic_id: TopicId::NIL,
                ..committed()
            }),
            Some("0004000000000000002affffffff010000018bcfe5687b00"),
        ),
        (
            // The version that can expire has no place for epoch and topic id.
            Some(Committed { expires: Some(Timestamp(1_700_000_060_123)), ..committed() }),
            Some("0001000000000000002a00046e6f74650000018bcfe5687b0000018bcfe652db"),
        ),
        (None, None),
    ];
    for (value, expected) in cases {
        let change = Change::Offset(id.clone(), orders(), value);
        let (key, value) = change.encode().unwrap();
        assert_eq!(key, hex(OFFSET_KEY_BYTES));
        assert_eq!(value, expected.map(hex));
    }
}

#[test]
fn groups_are_written_as_kafka_writes_them() {
    let expected = "00030008636f6e73756d657200000005000572616e67650003612d310000018bcfe5687b00000002\
                    0003612d31ffff00016100092f31302e302e302e310000ea6000002710000000030102030000000204\
                    050003622d3200016200016200092f31302e302e302e320000ea60000027100000000000000000";
    assert_eq!(group_value(&group()).unwrap(), hex(expected));
    let empty = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 6,
        current_state_timestamp: 1_700_000_000_123,
        protocol: None,
        leader: None,
        members: Vec::new(),
    };
    let expected = "00030008636f6e73756d657200000006ffffffff0000018bcfe5687b00000000";
    assert_eq!(group_value(&empty).unwrap(), hex(expected));
    let (key, value) = Change::Group(GroupId::from("g"), None).encode().unwrap();
    assert_eq!((key, value), (hex(GROUP_KEY_BYTES), None));
}

#[test]
fn every_version_that_kafka_wrote_is_read() {
    let without_instance = |mut group: GroupMetadataValue| {
        group.members.iter_mut().for_each(|member| member.group_instance_id = None);
        group
    };
    let versions = [
        "00000008636f6e73756d657200000005000572616e67650003612d31000000020003612d31000161\
         00092f31302e302e302e3100002710000000030102030000000204050003622d3200016200092f31\
         302e302e302e32000027100000000000000000",
        "00010008636f6e73756d657200000005000572616e67650003612d31000000020003612d31000161\
         00092f31302e302e302e310000ea6000002710000000030102030000000204050003622d32000162\
         00092f31302e302e302e320000ea60000027100000000000000000",
        "00020008636f6e73756d657200000005000572616e67650003612d310000018bcfe5687b00000002\
         0003612d3100016100092f31302e302e302e310000ea600000271000000003010203000000020405\
         0003622d3200016200092f31302e302e302e320000ea60000027100000000000000000",
        "00030008636f6e73756d657200000005000572616e67650003612d310000018bcfe5687b00000002\
         0003612d31ffff00016100092f31302e302e302e310000ea6000002710000000030102030000000204\
         050003622d3200016200016200092f31302e302e302e320000ea60000027100000000000000000",
        "000409636f6e73756d6572000000050672616e676504612d310000018bcfe5687b0304612d310002\
         610a2f31302e302e302e310000ea6000002710040102030304050004622d32026202620a2f31302e\
         302e302e320000ea600000271001010000",
    ];
    for (version, bytes) in versions.into_iter().enumerate() {
        let mut expected = if version < 3 { without_instance(group()) } else { group() };
        if version < 2 {
            expected.current_state_timestamp = -1;
        }
        if version < 1 {
            expected.members.iter_mut().for_each(|member| member.rebalance_timeout = -1);
        }
        assert_eq!(read_group(&hex(bytes)).unwrap(), expected, "version {version}");
    }
}

#[test]
fn keys_of_other_protocols_are_named() {
    let key = hex("0003000167");
    assert!(matches!(Change::decode(Some(&key), None), Err(Error::UnknownType(3))));
    assert!(matches!(Change::decode(None, None), Err(Error::NoKey)));
    let negative = hex("000100016700066f7264657273ffffffff");
    assert!(matches!(Change::decode(Some(&negative), None), Err(Error::Partition(-1))));
}

#[test]
fn a_newer_version_of_a_value_is_an_error() {
    let key = hex(OFFSET_KEY_BYTES);
    let newer = hex("0005000000000000002a00000003056e6f7465");
    assert!(matches!(Change::decode(Some(&key), Some(&newer)), Err(Error::Decode(_))));
}

prop_compose! {
    fn any_committed()(
        offset in 0_i64..,
        epoch in -1_i32..,
        metadata in ".{0,20}",
        at in 0_i64..,
        expires in proptest::option::of(0_i64..),
        topic in any::<u128>(),
    ) -> Committed {
        // What version 1 has no place for is lost with it.
        let (epoch, topic) = if expires.is_some() { (-1, 0) } else { (epoch, topic) };
        Committed {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(epoch),
            metadata: metadata.into(),
            at: Timestamp(at),
            expires: expires.map(Timestamp),
            topic_id: TopicId(Uuid::from_u128(topic)),
        }
    }
}

proptest! {
    #[test]
    fn an_offset_comes_back_as_it_was(
        group in ".{0,20}",
        topic in "[a-z]{1,20}",
        partition in 0_u32..=i32::MAX as u32,
        value in proptest::option::of(any_committed()),
    ) {
        let key = OffsetKey { topic: topic.into(), partition: PartitionIndex(partition) };
        let change = Change::Offset(GroupId::from(&*group), key, value);
        let (key, value) = change.encode().unwrap();
        let read = Change::decode(Some(&key), value.as_deref()).unwrap();
        prop_assert_eq!(read, change);
    }

    #[test]
    fn no_bytes_make_it_panic(key in any::<Vec<u8>>(), value in any::<Option<Vec<u8>>>()) {
        let _ = Change::decode(Some(&key), value.as_deref());
    }

    #[test]
    fn a_damaged_value_does_not_make_it_panic(cut in 0_usize..90, flip in any::<u8>()) {
        let mut value = group_value(&group()).unwrap().to_vec();
        let at = cut.min(value.len() - 1);
        value[at] ^= flip;
        let _ = read_group(&Bytes::from(value.clone()));
        value.truncate(cut);
        let _ = read_group(&Bytes::from(value));
    }
}
