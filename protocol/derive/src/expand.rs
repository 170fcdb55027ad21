//! Puts the fields' code together into the implementations of a struct.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Ident};

use crate::attributes::{OfStruct, Role, refuse};
use crate::field::{Enclosing, Field};
use crate::versions::Versions;

/// A nested struct: default, codec, schema.
pub(crate) fn nested(input: &DeriveInput) -> syn::Result<TokenStream> {
    let attributes = OfStruct::parse(&input.attrs)?;
    if attributes.role.is_some() || attributes.key.is_some() || attributes.flexible.is_some() {
        return refuse(
            input.ident.span(),
            "a nested struct only has `versions`: derive `Message` for a whole message",
        );
    }
    let versions = attributes.versions.unwrap_or(Versions::ALL);
    let fields = fields(input, Enclosing { known: versions, assumed: versions })?;
    Ok(codec(&input.ident, &fields))
}

/// A whole message: what a nested struct has, and the message traits.
pub(crate) fn message(input: &DeriveInput) -> syn::Result<TokenStream> {
    let attributes = OfStruct::parse(&input.attrs)?;
    let span = input.ident.span();
    let Some(role) = attributes.role else {
        return refuse(span, "say what it is: `#[kafka(request, ...)]`, response, header, data");
    };
    let Some(versions) = attributes.versions else {
        return refuse(span, "a message needs `versions = \"...\"`");
    };
    let Some(flexible) = attributes.flexible else {
        return refuse(span, "a message needs `flexible = \"...\"`, also if it is \"none\"");
    };
    let key = match (attributes.key, role.is_keyed()) {
        (Some(key), true) => quote!(::core::option::Option::Some(#key)),
        (None, false) => quote!(::core::option::Option::None),
        (None, true) => return refuse(span, "this kind of message needs `key = N`"),
        (Some(_), false) => return refuse(span, "headers and data have no key"),
    };
    let fields = fields(input, Enclosing { known: versions, assumed: Versions::ALL })?;
    for field in &fields {
        if field.tag.is_some_and(|(_, tagged)| !flexible.contains(tagged)) {
            return refuse(field.ident.span(), "a field is tagged in flexible versions only");
        }
    }

    let ident = &input.ident;
    let name = ident.to_string();
    let role_ident = format_ident!("{role:?}");
    let (versions, flexible) = (versions.tokens(), flexible.tokens());
    let codec = codec(ident, &fields);
    let role_impl = role_impl(ident, role, attributes.key.unwrap_or_default())?;
    Ok(quote! {
        #codec
        #[automatically_derived]
        impl ::weir_protocol::Message for #ident {
            const MESSAGE: &'static ::weir_protocol::codec::MessageSchema =
                &::weir_protocol::codec::MessageSchema {
                    name: #name,
                    role: ::weir_protocol::codec::Role::#role_ident,
                    key: #key,
                    versions: #versions,
                    flexible: #flexible,
                    body: <Self as ::weir_protocol::codec::Struct>::SCHEMA,
                };
        }
        #role_impl
    })
}

/// Ties a request to its API and response, a response to its API.
fn role_impl(ident: &Ident, role: Role, key: i16) -> syn::Result<TokenStream> {
    let name = ident.to_string();
    let api = |suffix: &str| match name.strip_suffix(suffix) {
        Some(api) => Ok(format_ident!("{api}", span = Span::call_site())),
        None => refuse(ident.span(), format!("its name ends with `{suffix}`")),
    };
    let key_matches = |api: &Ident| {
        quote! {
            const _: () = assert!(
                ::weir_protocol::ApiKey::#api as i16 == #key,
                "the key is not that of the API of this name",
            );
        }
    };
    Ok(match role {
        Role::Request => {
            let api = api("Request")?;
            let response = format_ident!("{api}Response");
            let matches = key_matches(&api);
            quote! {
                #matches
                #[automatically_derived]
                impl ::weir_protocol::Request for #ident {
                    const API: ::weir_protocol::ApiKey = ::weir_protocol::ApiKey::#api;
                    type Response = #response;
                }
            }
        }
        Role::Response => {
            let api = api("Response")?;
            let matches = key_matches(&api);
            quote! {
                #matches
                #[automatically_derived]
                impl ::weir_protocol::Response for #ident {
                    const API: ::weir_protocol::ApiKey = ::weir_protocol::ApiKey::#api;
                }
            }
        }
        _ => TokenStream::new(),
    })
}

fn fields(input: &DeriveInput, enclosing: Enclosing) -> syn::Result<Vec<Field>> {
    let Data::Struct(data) = &input.data else {
        return refuse(input.span(), "only a struct can be a Kafka message");
    };
    let Fields::Named(named) = &data.fields else {
        return refuse(input.span(), "a Kafka struct has named fields");
    };
    let mut fields = Vec::with_capacity(named.named.len());
    let mut tags = Vec::new();
    for (index, field) in named.named.iter().enumerate() {
        let field = Field::parse(field, index, enclosing)?;
        if let Some((number, _)) = field.tag {
            if tags.contains(&number) {
                return refuse(field.ident.span(), format!("tag {number} is taken"));
            }
            tags.push(number);
        }
        fields.push(field);
    }
    Ok(fields)
}

/// `Default`, `Wire`, `Nullable` and `Struct`.
fn codec(ident: &Ident, fields: &[Field]) -> TokenStream {
    let name = ident.to_string();
    let schema = fields.iter().map(|field| field.schema(&name));
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let defaults = fields.iter().map(Field::default);
    let locals = fields.iter().map(Field::local);
    let read = fields.iter().map(Field::read_inline);
    let write = fields.iter().map(Field::write_inline);
    let (read_tags, write_tags) = tags(fields);
    quote! {
        #[automatically_derived]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                Self { #(#idents: #defaults,)* }
            }
        }

        #[automatically_derived]
        impl ::weir_protocol::codec::Struct for #ident {
            const SCHEMA: &'static ::weir_protocol::codec::StructSchema =
                &::weir_protocol::codec::StructSchema { name: #name, fields: &[#(#schema),*] };
        }

        #[automatically_derived]
        impl ::weir_protocol::codec::Wire for #ident {
            const KIND: ::weir_protocol::codec::Kind = ::weir_protocol::codec::Kind::Struct(
                <Self as ::weir_protocol::codec::Struct>::SCHEMA,
            );
            const MIN_BYTES: usize = 1;

            #[allow(unused_variables)]
            fn read(
                d: &mut ::weir_protocol::codec::Decoder,
            ) -> ::core::result::Result<Self, ::weir_protocol::codec::DecodeError> {
                let version = d.version();
                #(#read)*
                #read_tags
                Ok(Self { #(#idents: #locals,)* })
            }

            #[allow(unused_variables)]
            fn write(
                &self,
                e: &mut ::weir_protocol::codec::Encoder,
            ) -> ::core::result::Result<(), ::weir_protocol::codec::EncodeError> {
                let version = e.version();
                #(#write)*
                #write_tags
                Ok(())
            }

            fn empty() -> Self {
                Self::default()
            }

            fn is_empty_value(&self) -> bool {
                *self == Self::default()
            }
        }

        ::weir_protocol::codec::nullable_struct!(#ident);
    }
}

/// The code for the tagged fields behind the others.
fn tags(fields: &[Field]) -> (TokenStream, TokenStream) {
    // Tags go out in rising order, whatever the order of the fields.
    let mut tagged: Vec<_> = fields.iter().filter(|field| field.tag.is_some()).collect();
    tagged.sort_by_key(|field| field.tag.map(|(number, _)| number));
    if tagged.is_empty() {
        return (quote!(d.skip_tags()?;), quote!(e.no_tags();));
    }
    let arms = tagged.iter().filter_map(|field| field.read_tagged());
    let writes = tagged.iter().filter_map(|field| field.write_tagged());
    let read = quote! {
        if d.flexible() {
            for _ in 0..d.tag_count()? {
                let tag = d.open_tag()?;
                match tag.number() {
                    #(#arms)*
                    _ => d.skip_tag(&tag),
                }
                d.close_tag(tag)?;
            }
        }
    };
    let write = quote! {
        if e.flexible() {
            let tags = e.open_tags();
            #(#writes)*
        }
    };
    (read, write)
}
