//! What holds for every message and whatever bytes.

use bytes::Bytes;
use proptest::prelude::*;
use weir_protocol::codec::Decoder;
use weir_protocol::{ApiKey, RequestBody, RequestFrame, ResponseBody};

use crate::made_up;
use crate::subjects::{SUBJECTS, Subject};

/// A message, and one of its versions.
fn subject() -> impl Strategy<Value = (Subject, i16)> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(subject, version)| {
        let subject: Subject = *subject.get(SUBJECTS);
        let versions: Vec<_> = subject.schema.versions.iter().collect();
        (subject, *version.get(&versions))
    })
}

#[test]
fn every_version_reads_back_what_it_writes() {
    for subject in SUBJECTS {
        let cases = ProptestConfig::with_cases(24);
        proptest!(cases, |(choices in made_up::choices())| {
            for version in subject.schema.versions.iter() {
                let bytes = Bytes::from(made_up::message(subject.schema, version, &choices));
                let recoded = (subject.recode)(bytes.clone(), version).unwrap();
                prop_assert_eq!(recoded.left, 0, "{} {}", subject.schema.name, version);
                prop_assert_eq!(recoded.bytes, bytes, "{} {}", subject.schema.name, version);
            }
        });
    }
}

proptest! {
    #[test]
    fn unknown_tagged_fields_are_passed_over(
        (subject, version) in subject(),
        choices in made_up::choices(),
    ) {
        let plain = made_up::message(subject.schema, version, &choices);
        let future = made_up::message_of_the_future(subject.schema, version, &choices);
        let recoded = (subject.recode)(future.into(), version).unwrap();
        prop_assert_eq!(recoded.left, 0);
        prop_assert_eq!(recoded.bytes, plain);
    }

    #[test]
    fn what_follows_a_message_is_left_alone(
        (subject, version) in subject(),
        choices in made_up::choices(),
    ) {
        let mut bytes = made_up::message(subject.schema, version, &choices);
        bytes.extend([0xff; 3]);
        prop_assert_eq!((subject.recode)(bytes.into(), version).unwrap().left, 3);
    }

    #[test]
    fn every_cut_is_noticed(
        (subject, version) in subject(),
        choices in made_up::choices(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = Bytes::from(made_up::message(subject.schema, version, &choices));
        if !bytes.is_empty() {
            let cut = cut.index(bytes.len());
            let outcome = (subject.recode)(bytes.slice(..cut), version);
            prop_assert!(outcome.is_err(), "{cut} of {} bytes were enough", bytes.len());
        }
    }

    #[test]
    fn a_changed_byte_does_no_harm(
        (subject, version) in subject(),
        choices in made_up::choices(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = made_up::message(subject.schema, version, &choices);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // An error, or another message; that this one recodes is asserted on the way.
            let _ = (subject.recode)(bytes.into(), version);
        }
    }

    #[test]
    fn random_bytes_do_no_harm(
        (subject, version) in subject(),
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..200),
    ) {
        let _ = (subject.recode)(bytes.into(), version);
    }

    #[test]
    fn random_frames_do_no_harm(
        api in prop::sample::select(ApiKey::ALL),
        version in 0..20i16,
        rest in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..200),
    ) {
        let mut frame = (api as i16).to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend(rest);
        if let Ok(request) = RequestFrame::parse(frame.into()) {
            let _ = request.into_body();
        }
    }

    #[test]
    fn the_enums_read_what_the_types_read(
        api in prop::sample::select(ApiKey::ALL),
        choices in made_up::choices(),
    ) {
        for version in api.decodable().iter() {
            let recode = |schema, is_request| {
                let bytes = made_up::message(schema, version, &choices);
                let mut d = Decoder::new(bytes.clone().into());
                let mut e = weir_protocol::codec::Encoder::new();
                if is_request {
                    let body = RequestBody::decode(api, &mut d, version).unwrap();
                    assert_eq!(body.api(), api);
                    body.encode(&mut e, version).unwrap();
                } else {
                    let body = ResponseBody::decode(api, &mut d, version).unwrap();
                    assert_eq!(body.api(), api);
                    body.encode(&mut e, version).unwrap();
                }
                assert_eq!(e.finish().into_bytes(), bytes);
            };
            recode(api.request(), true);
            recode(api.response(), false);
        }
    }
}
