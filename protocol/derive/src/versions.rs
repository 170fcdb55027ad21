//! Version ranges as Kafka's schemas write them: `"3-13"`, `"9+"`, `"2"`, `"none"`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// A range of versions, both ends included; empty when `min > max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Versions {
    pub(crate) const ALL: Versions = Versions { min: 0, max: i16::MAX };
    pub(crate) const NONE: Versions = Versions { min: 0, max: -1 };

    pub(crate) fn parse(text: &LitStr) -> syn::Result<Versions> {
        Versions::parse_str(&text.value()).ok_or_else(|| {
            syn::Error::new(
                text.span(),
                "not a version range: write \"3-13\", \"9+\", \"2\" or \"none\"",
            )
        })
    }

    fn parse_str(text: &str) -> Option<Versions> {
        let number = |digits: &str| digits.parse::<i16>().ok().filter(|n| *n >= 0);
        if text == "none" {
            return Some(Versions::NONE);
        }
        if let Some(min) = text.strip_suffix('+') {
            return Some(Versions { min: number(min)?, max: i16::MAX });
        }
        let (min, max) = match text.split_once('-') {
            Some((min, max)) => (number(min)?, number(max)?),
            None => (number(text)?, number(text)?),
        };
        (min <= max).then_some(Versions { min, max })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(crate) fn contains(self, other: Versions) -> bool {
        other.is_empty() || (self.min <= other.min && other.max <= self.max)
    }

    pub(crate) fn intersect(self, other: Versions) -> Versions {
        Versions { min: self.min.max(other.min), max: self.max.min(other.max) }
    }

    /// The test that `version` lies in this range, given that it lies in `known`.
    pub(crate) fn test(self, known: Versions) -> Test {
        let common = self.intersect(known);
        if common.is_empty() {
            return Test::Never;
        }
        let (min, max) = (self.min, self.max);
        match (common.min > known.min, common.max < known.max) {
            (false, false) => Test::Always,
            (true, false) => Test::If(quote!(version >= #min)),
            (false, true) => Test::If(quote!(version <= #max)),
            (true, true) => Test::If(quote!((#min..=#max).contains(&version))),
        }
    }

    pub(crate) fn tokens(self) -> TokenStream {
        let (min, max) = (self.min, self.max);
        quote!(::weir_protocol::codec::Versions { min: #min, max: #max })
    }
}

/// What is known when the code is written about a test that runs when a message is read.
pub(crate) enum Test {
    Always,
    Never,
    If(TokenStream),
}

impl Test {
    /// The test as an expression.
    pub(crate) fn expression(&self) -> TokenStream {
        match self {
            Test::Always => quote!(true),
            Test::Never => quote!(false),
            Test::If(test) => test.clone(),
        }
    }

    /// `yes` or `no`, by this test.
    pub(crate) fn choose(&self, yes: TokenStream, no: TokenStream) -> TokenStream {
        match self {
            Test::Always => yes,
            Test::Never => no,
            Test::If(test) => quote!(if #test { #yes } else { #no }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let parse = Versions::parse_str;
        assert_eq!(parse("3-13"), Some(Versions { min: 3, max: 13 }));
        assert_eq!(parse("9+"), Some(Versions { min: 9, max: i16::MAX }));
        assert_eq!(parse("2"), Some(Versions { min: 2, max: 2 }));
        assert!(parse("none").is_some_and(Versions::is_empty));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "+", "-1", "3-2", "a", "3-", "1..2", "40000+"] {
            assert_eq!(Versions::parse_str(text), None, "{text:?}");
        }
    }

    #[test]
    fn tests_that_the_message_decides_are_not_repeated() {
        let known = Versions { min: 3, max: 13 };
        let test = |min, max| Versions { min, max }.test(known);
        assert!(matches!(test(0, i16::MAX), Test::Always));
        assert!(matches!(test(3, 13), Test::Always));
        assert!(matches!(test(0, 2), Test::Never));
        assert!(matches!(test(5, i16::MAX), Test::If(_)));
        assert!(matches!(Versions::NONE.test(known), Test::Never));
    }
}
