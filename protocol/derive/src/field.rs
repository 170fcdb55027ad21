//! One field: what its attributes mean, checked, and the code that reads and writes it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{GenericArgument, Ident, PathArguments, Type};

use crate::attributes::{DefaultValue, OfField, refuse};
use crate::versions::Versions;

/// The count of tagged fields is written into one byte before they are known.
const MAX_TAG: i16 = 126;

/// The versions that a struct's fields are seen in.
#[derive(Clone, Copy)]
pub(crate) struct Enclosing {
    /// Versions that the struct is ever read or written in.
    pub(crate) known: Versions,
    /// Versions of a field that names none.
    pub(crate) assumed: Versions,
}

/// A field whose attributes have been checked against each other.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The type on the wire: without the `Option` of a nullable field.
    wire: Type,
    pub(crate) nullable: Option<Versions>,
    pub(crate) versions: Versions,
    /// The tag, and the versions that have it.
    pub(crate) tag: Option<(i16, Versions)>,
    attributes: OfField,
    index: usize,
    known: Versions,
}

impl Field {
    pub(crate) fn parse(
        field: &syn::Field,
        index: usize,
        enclosing: Enclosing,
    ) -> syn::Result<Field> {
        let attributes = OfField::parse(&field.attrs)?;
        let span = field.span();
        let Some(ident) = field.ident.clone() else {
            return refuse(span, "a Kafka struct has named fields");
        };
        let versions = attributes.versions.unwrap_or(enclosing.assumed);
        if versions.intersect(enclosing.known).is_empty() {
            return refuse(span, "no version of the struct has this field");
        }
        let (wire, nullable) = nullability(&field.ty, &attributes, versions, span)?;
        let tag = tag(&attributes, versions, span)?;
        Ok(Field {
            ident,
            wire,
            nullable,
            versions,
            tag,
            attributes,
            index,
            known: enclosing.known,
        })
    }

    /// The field's value where its version does not have it, as an expression.
    pub(crate) fn default(&self) -> TokenStream {
        match (&self.attributes.default, self.nullable) {
            (Some(DefaultValue::Null), _) => quote!(::core::option::Option::None),
            (Some(DefaultValue::Value(value)), None) => quote!(#value),
            (Some(DefaultValue::Value(value)), Some(_)) => {
                quote!(::core::option::Option::Some(#value))
            }
            (None, None) => quote!(::weir_protocol::codec::Wire::empty()),
            (None, Some(_)) => {
                quote!(::core::option::Option::Some(::weir_protocol::codec::Wire::empty()))
            }
        }
    }

    /// The name in Kafka's schema.
    fn schema_name(&self) -> String {
        self.attributes.name.clone().unwrap_or_else(|| {
            let ident = self.ident.to_string();
            ident.trim_start_matches("r#").split('_').map(capitalized).collect()
        })
    }

    /// The entry in the static schema.
    pub(crate) fn schema(&self, owner: &str) -> TokenStream {
        let wire = &self.wire;
        let name = self.schema_name();
        let versions = self.versions.tokens();
        let nullable = self.nullable.unwrap_or(Versions::NONE).tokens();
        let tag = match self.tag {
            None => quote!(::core::option::Option::None),
            Some((number, tagged)) => {
                let (number, tagged) = (number as u32, tagged.tokens());
                quote!(::core::option::Option::Some((#number, #tagged)))
            }
        };
        let default = match &self.attributes.default {
            None => quote!(Empty),
            Some(DefaultValue::Null) => quote!(Null),
            Some(DefaultValue::Value(value)) => quote!(Value((#value) as i64)),
        };
        let (ignorable, never_flexible) =
            (self.attributes.ignorable, self.attributes.never_flexible);
        quote! {
            ::weir_protocol::codec::FieldSchema {
                owner: #owner,
                name: #name,
                kind: <#wire as ::weir_protocol::codec::Wire>::KIND,
                versions: #versions,
                nullable: #nullable,
                tag: #tag,
                default: ::weir_protocol::codec::SchemaDefault::#default,
                ignorable: #ignorable,
                never_flexible: #never_flexible,
            }
        }
    }

    /// The variable that the field is read into: named so that no field can shadow another one.
    pub(crate) fn local(&self) -> Ident {
        format_ident!("read_{}", self.ident)
    }

    /// Versions that have the field inline, given that the field exists.
    fn inline(&self) -> Versions {
        match self.tag {
            None => self.versions,
            Some((_, tagged)) if tagged == self.versions => Versions::NONE,
            Some((_, tagged)) => Versions { min: self.versions.min, max: tagged.min - 1 },
        }
    }

    fn entry(&self) -> TokenStream {
        let index = self.index;
        quote!(&<Self as ::weir_protocol::codec::Struct>::SCHEMA.fields[#index])
    }

    fn in_form(&self, coder: TokenStream, code: TokenStream) -> TokenStream {
        if self.attributes.never_flexible {
            quote! {
                let flexible = #coder.set_flexible(false);
                let value = #code;
                #coder.set_flexible(flexible);
                value
            }
        } else {
            code
        }
    }

    fn null_test(&self, nullable: Versions) -> TokenStream {
        nullable.test(self.versions.intersect(self.known)).expression()
    }

    fn read(&self) -> TokenStream {
        let entry = self.entry();
        let read = match self.nullable {
            None => quote!(::weir_protocol::codec::Wire::read(d)?),
            Some(nullable) => {
                let test = self.null_test(nullable);
                quote!(d.optional(#test)?)
            }
        };
        let read = self.in_form(quote!(d), read);
        quote!(d.enter(#entry); #read)
    }

    fn write(&self) -> TokenStream {
        let (entry, ident) = (self.entry(), &self.ident);
        let write = match self.nullable {
            None => quote!(::weir_protocol::codec::Wire::write(&self.#ident, e)?),
            Some(nullable) => {
                let test = self.null_test(nullable);
                quote!(e.optional(&self.#ident, #test)?)
            }
        };
        let write = self.in_form(quote!(e), write);
        quote!(e.enter(#entry); #write;)
    }

    /// Reads the field into its variable; one that can be tagged is mutable.
    pub(crate) fn read_inline(&self) -> TokenStream {
        let (local, default) = (self.local(), self.default());
        let value = self.inline().test(self.known).choose(self.read(), default);
        let mutable = self.tag.map(|_| quote!(mut));
        quote!(let #mutable #local = { #value };)
    }

    /// The arm that reads the field from its tag.
    pub(crate) fn read_tagged(&self) -> Option<TokenStream> {
        let (number, tagged) = self.tag?;
        let (local, read, number) = (self.local(), self.read(), number as u32);
        let test = tagged.test(self.known).expression();
        Some(quote!(#number if #test => #local = { #read },))
    }

    /// Writes the field inline, or refuses to drop its value silently.
    pub(crate) fn write_inline(&self) -> TokenStream {
        let inline = self.inline().test(self.known).choose(self.write(), quote!());
        if self.attributes.ignorable {
            return inline;
        }
        let (entry, is_default) = (self.entry(), self.is_default());
        let exists = self.versions.test(self.known);
        let refuse = quote!(if !(#is_default) { e.absent(#entry)?; });
        let guard = exists.choose(quote!(), refuse);
        quote!(#inline #guard)
    }

    /// Writes the field as a tag unless it has its default value.
    pub(crate) fn write_tagged(&self) -> Option<TokenStream> {
        let (number, tagged) = self.tag?;
        let (write, is_default, number) = (self.write(), self.is_default(), number as u32);
        let test = tagged.test(self.known).expression();
        Some(quote! {
            if #test && !(#is_default) {
                let tag = e.open_tag(tags, #number);
                #write
                e.close_tag(tag)?;
            }
        })
    }

    fn is_default(&self) -> TokenStream {
        let ident = &self.ident;
        match (&self.attributes.default, self.nullable) {
            (Some(DefaultValue::Null), _) => quote!(self.#ident.is_none()),
            (Some(DefaultValue::Value(value)), None) => quote!(self.#ident == #value),
            (Some(DefaultValue::Value(value)), Some(_)) => quote!(self.#ident == Some(#value)),
            (None, None) => quote!(::weir_protocol::codec::Wire::is_empty_value(&self.#ident)),
            (None, Some(_)) => quote! {
                self.#ident.as_ref().is_some_and(::weir_protocol::codec::Wire::is_empty_value)
            },
        }
    }
}

fn nullability(
    ty: &Type,
    attributes: &OfField,
    versions: Versions,
    span: Span,
) -> syn::Result<(Type, Option<Versions>)> {
    let Some(inner) = option_of(ty) else {
        if attributes.nullable.is_some() {
            return refuse(span, "a nullable field is an `Option`");
        }
        if matches!(attributes.default, Some(DefaultValue::Null)) {
            return refuse(span, "only a nullable field can be null by default");
        }
        return Ok((ty.clone(), None));
    };
    match attributes.nullable {
        None => refuse(span, "an `Option` needs `nullable = \"...\"`"),
        Some(nullable) if nullable.intersect(versions).is_empty() => {
            refuse(span, "nullable in no version that has the field")
        }
        Some(nullable) => Ok((inner.clone(), Some(nullable))),
    }
}

fn tag(
    attributes: &OfField,
    versions: Versions,
    span: Span,
) -> syn::Result<Option<(i16, Versions)>> {
    let Some(number) = attributes.tag else {
        return match attributes.tagged {
            None => Ok(None),
            Some(_) => refuse(span, "`tagged` needs `tag = N`"),
        };
    };
    if !(0..=MAX_TAG).contains(&number) {
        return refuse(span, format!("a tag lies between 0 and {MAX_TAG}"));
    }
    let tagged = attributes.tagged.unwrap_or(versions);
    if tagged.is_empty() || !versions.contains(tagged) || tagged.max != versions.max {
        return refuse(span, "`tagged` is the upper end of the field's versions");
    }
    Ok(Some((number, tagged)))
}

fn option_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        None => String::new(),
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
    }
}
