//! Reads `#[kafka(...)]` and says clearly what is wrong with one.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, LitInt, LitStr};

use crate::versions::Versions;

/// What kind of schema a message has; the `type` of the JSON files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Request,
    Response,
    Header,
    Data,
    RecordKey,
    RecordValue,
}

impl Role {
    const NAMES: &[(&str, Role)] = &[
        ("request", Role::Request),
        ("response", Role::Response),
        ("header", Role::Header),
        ("data", Role::Data),
        ("record_key", Role::RecordKey),
        ("record_value", Role::RecordValue),
    ];

    /// Whether schemas of this role carry an API key.
    pub(crate) fn is_keyed(self) -> bool {
        !matches!(self, Role::Header | Role::Data)
    }
}

/// The attributes of a struct.
#[derive(Default)]
pub(crate) struct OfStruct {
    pub(crate) role: Option<Role>,
    pub(crate) key: Option<i16>,
    pub(crate) versions: Option<Versions>,
    pub(crate) flexible: Option<Versions>,
}

impl OfStruct {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<OfStruct> {
        let mut found = OfStruct::default();
        each(attributes, |meta| {
            if let Some((_, role)) = Role::NAMES.iter().find(|(name, _)| meta.path.is_ident(name)) {
                return once(&mut found.role, *role, &meta);
            }
            match name(&meta).as_str() {
                "key" => {
                    let key = integer(&meta)?;
                    once(&mut found.key, key, &meta)
                }
                "versions" => {
                    let versions = versions(&meta)?;
                    once(&mut found.versions, versions, &meta)
                }
                "flexible" => {
                    let flexible = versions(&meta)?;
                    once(&mut found.flexible, flexible, &meta)
                }
                other => Err(meta.error(format!(
                    "unknown attribute `{other}` on a struct: known are request, response, header, \
                     data, record_key, record_value, key, versions, flexible"
                ))),
            }
        })?;
        Ok(found)
    }
}

/// A field's default where it is not zero or empty.
pub(crate) enum DefaultValue {
    Null,
    Value(Box<Expr>),
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct OfField {
    pub(crate) versions: Option<Versions>,
    pub(crate) nullable: Option<Versions>,
    pub(crate) default: Option<DefaultValue>,
    pub(crate) ignorable: bool,
    pub(crate) tag: Option<i16>,
    pub(crate) tagged: Option<Versions>,
    pub(crate) never_flexible: bool,
    pub(crate) name: Option<String>,
}

impl OfField {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<OfField> {
        let mut found = OfField::default();
        each(attributes, |meta| match name(&meta).as_str() {
            "versions" => {
                let versions = versions(&meta)?;
                once(&mut found.versions, versions, &meta)
            }
            "nullable" => {
                let nullable = versions(&meta)?;
                once(&mut found.nullable, nullable, &meta)
            }
            "tagged" => {
                let tagged = versions(&meta)?;
                once(&mut found.tagged, tagged, &meta)
            }
            "tag" => {
                let tag = integer(&meta)?;
                once(&mut found.tag, tag, &meta)
            }
            "default" => {
                let value: Expr = meta.value()?.parse()?;
                let default = if matches!(&value, Expr::Path(path) if path.path.is_ident("null")) {
                    DefaultValue::Null
                } else {
                    DefaultValue::Value(Box::new(value))
                };
                once(&mut found.default, default, &meta)
            }
            "name" => {
                let text: LitStr = meta.value()?.parse()?;
                once(&mut found.name, text.value(), &meta)
            }
            "ignorable" => {
                found.ignorable = true;
                Ok(())
            }
            "flexible" => {
                if !versions(&meta)?.is_empty() {
                    return Err(meta.error("a field's `flexible` can only be \"none\""));
                }
                found.never_flexible = true;
                Ok(())
            }
            other => Err(meta.error(format!(
                "unknown attribute `{other}` on a field: known are versions, nullable, default, \
                 ignorable, tag, tagged, flexible, name"
            ))),
        })?;
        Ok(found)
    }
}

fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("kafka"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut read))
}

fn name(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

fn versions(meta: &ParseNestedMeta<'_>) -> syn::Result<Versions> {
    Versions::parse(&meta.value()?.parse::<LitStr>()?)
}

fn integer(meta: &ParseNestedMeta<'_>) -> syn::Result<i16> {
    meta.value()?.parse::<LitInt>()?.base10_parse()
}

fn once<T>(slot: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("said twice")),
    }
}

/// An error at `span`.
pub(crate) fn refuse<T>(span: Span, message: impl std::fmt::Display) -> syn::Result<T> {
    Err(syn::Error::new(span, message))
}
