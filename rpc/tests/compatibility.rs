//! What nodes say to each other stays readable for nodes of the version before: `golden/grpc-v1.txt` lists every field
//! of every message, and every call. Lines may be added there. One that is changed or gone is a message that nodes of two versions
//! read differently, which a rolling upgrade does not survive.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, path::Path};

use prost_types::{
    DescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

const PROTOS: [&str; 4] = [
    "rpc/proto/hello.proto",
    "broker/proto/broker.proto",
    "coordinator/proto/coordinator.proto",
    "meta/proto/controller.proto",
];
const GOLDEN: &str = include_str!("golden/grpc-v1.txt");

fn file(of: &Path) -> FileDescriptorProto {
    let folder = of.parent().unwrap();
    let compiled = prost_build::Config::new().load_fds(&[of], &[folder]).unwrap();
    let name = of.file_name().unwrap().to_string_lossy().into_owned();
    compiled.file.into_iter().find(|file| file.name() == name).unwrap()
}

fn message(lines: &mut BTreeSet<String>, outer: &str, message: &DescriptorProto) {
    let name = format!("{outer}.{}", message.name());
    for field in &message.field {
        let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            other => other.as_str_name().to_owned(),
        };
        let choice = field.oneof_index.and_then(|place| message.oneof_decl.get(place as usize));
        let choice = choice.map_or_else(String::new, |choice| format!(" of {}", choice.name()));
        lines.insert(format!(
            "{name} {} = {repeated}{kind} {}{choice}",
            field.number(),
            field.name()
        ));
    }
    for nested in &message.nested_type {
        self::message(lines, &name, nested);
    }
    for values in &message.enum_type {
        for value in &values.value {
            lines.insert(format!("{name}.{} {} = {}", values.name(), value.number(), value.name()));
        }
    }
}

fn service(lines: &mut BTreeSet<String>, package: &str, service: &ServiceDescriptorProto) {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    for call in &service.method {
        let (asks, answers) = (stream(call.client_streaming()), stream(call.server_streaming()));
        lines.insert(format!(
            "{package}.{}/{} ({asks}{}) -> ({answers}{})",
            service.name(),
            call.name(),
            call.input_type(),
            call.output_type()
        ));
    }
}

#[test]
fn nodes_of_the_version_before_are_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut lines = BTreeSet::new();
    for proto in PROTOS {
        let file = file(&root.join(proto));
        let package = file.package();
        file.message_type.iter().for_each(|it| message(&mut lines, package, it));
        for values in &file.enum_type {
            for value in &values.value {
                let (number, value) = (value.number(), value.name());
                lines.insert(format!("{package}.{} {number} = {value}", values.name()));
            }
        }
        file.service.iter().for_each(|it| service(&mut lines, package, it));
    }
    let golden: BTreeSet<String> = GOLDEN.lines().map(str::to_owned).collect();
    let gone: Vec<_> = golden.difference(&lines).collect();
    assert!(
        gone.is_empty(),
        "nodes of the version before say this, and it is not understood: {gone:#?}"
    );
    let new: Vec<_> = lines.difference(&golden).collect();
    assert!(new.is_empty(), "add to tests/golden/grpc-v1.txt what is new: {new:#?}");
}
