//! What is wrong with a definition is said where it stands, not by the code that comes out of it.

use syn::{DeriveInput, parse_quote};

use crate::expand;

fn message_error(input: DeriveInput) -> String {
    expand::message(&input).unwrap_err().to_string()
}

fn struct_error(input: DeriveInput) -> String {
    expand::nested(&input).unwrap_err().to_string()
}

#[test]
fn a_message_says_what_it_is() {
    let error = message_error(parse_quote! { struct FetchRequest {} });
    assert!(error.starts_with("say what it is"), "{error}");
    let error = message_error(parse_quote! {
        #[kafka(request, key = 1, versions = "4-18")]
        struct FetchRequest {}
    });
    assert_eq!(error, "a message needs `flexible = \"...\"`, also if it is \"none\"");
    let error = message_error(parse_quote! {
        #[kafka(request, versions = "4-18", flexible = "12+")]
        struct FetchRequest {}
    });
    assert_eq!(error, "this kind of message needs `key = N`");
    let error = message_error(parse_quote! {
        #[kafka(request, key = 1, versions = "4-18", flexible = "12+")]
        struct Fetch {}
    });
    assert_eq!(error, "its name ends with `Request`");
    let error = message_error(parse_quote! {
        #[kafka(data, versions = "0", flexible = "none")]
        enum Choice {}
    });
    assert_eq!(error, "only a struct can be a Kafka message");
}

#[test]
fn unknown_and_repeated_attributes_are_named() {
    let error = message_error(parse_quote! {
        #[kafka(request, version = "4-18")]
        struct FetchRequest {}
    });
    assert!(error.starts_with("unknown attribute `version` on a struct: known are"), "{error}");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(version = "4+")] name: ByteString }
    });
    assert!(error.starts_with("unknown attribute `version` on a field: known are"), "{error}");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(tag = 1, tag = 2)] name: ByteString }
    });
    assert_eq!(error, "said twice");
    let error = struct_error(parse_quote! { #[kafka(key = 3)] struct Topic {} });
    assert!(error.starts_with("a nested struct only has `versions`"), "{error}");
}

#[test]
fn ranges_are_checked() {
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(versions = "4..")] name: ByteString }
    });
    assert!(error.starts_with("not a version range"), "{error}");
    let error = message_error(parse_quote! {
        #[kafka(data, versions = "3-5", flexible = "none")]
        struct Data { #[kafka(versions = "0-2")] gone: i32 }
    });
    assert_eq!(error, "no version of the struct has this field");
}

#[test]
fn nullability_and_type_agree() {
    let error = struct_error(parse_quote! { struct Topic { name: Option<ByteString> } });
    assert_eq!(error, "an `Option` needs `nullable = \"...\"`");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(nullable = "2+")] name: ByteString }
    });
    assert_eq!(error, "a nullable field is an `Option`");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(default = null)] name: ByteString }
    });
    assert_eq!(error, "only a nullable field can be null by default");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(versions = "4+", nullable = "0-3")] name: Option<ByteString> }
    });
    assert_eq!(error, "nullable in no version that has the field");
}

#[test]
fn tags_are_checked() {
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(tag = 0)] a: i32, #[kafka(tag = 0)] b: i32 }
    });
    assert_eq!(error, "tag 0 is taken");
    let error = struct_error(parse_quote! { struct Topic { #[kafka(tag = 127)] a: i32 } });
    assert_eq!(error, "a tag lies between 0 and 126");
    let error = struct_error(parse_quote! { struct Topic { #[kafka(tagged = "3+")] a: i32 } });
    assert_eq!(error, "`tagged` needs `tag = N`");
    let error = struct_error(parse_quote! {
        struct Topic { #[kafka(versions = "3+", tag = 0, tagged = "2+")] a: i32 }
    });
    assert_eq!(error, "`tagged` is the upper end of the field's versions");
    let error = message_error(parse_quote! {
        #[kafka(data, versions = "0-5", flexible = "4+")]
        struct Data { #[kafka(versions = "3+", tag = 0)] a: i32 }
    });
    assert_eq!(error, "a field is tagged in flexible versions only");
}
