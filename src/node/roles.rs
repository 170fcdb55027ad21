//! Which roles a node has.

use anyhow::{Result, bail};
use weir_meta::model::Role;

/// The names of roles, as the configuration has them.
const NAMES: [(&str, Role); 4] = [
    ("broker", Role::Broker),
    ("coordinator", Role::Coordinator),
    ("proxy", Role::Proxy),
    ("controller", Role::Controller),
];

/// The roles of a node; at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Roles {
    pub(crate) broker: bool,
    pub(crate) coordinator: bool,
    pub(crate) proxy: bool,
    pub(crate) controller: bool,
}

impl Roles {
    /// All there are.
    pub(crate) const ALL: Roles =
        Roles { broker: true, coordinator: true, proxy: true, controller: true };

    /// The roles of these names.
    ///
    /// # Errors
    /// When a name is none, or there is no name.
    pub(crate) fn parse(names: &[String]) -> Result<Self> {
        let known = || NAMES.map(|(name, _)| name).join(", ");
        let has = |name: &str| names.iter().any(|given| given == name);
        if let Some(unknown) = names.iter().find(|name| !NAMES.iter().any(|(it, _)| it == name)) {
            bail!("node.roles has {unknown:?}; the roles are {}", known());
        }
        if names.is_empty() {
            bail!("node.roles is empty; give at least one of {}", known());
        }
        Ok(Self {
            broker: has("broker"),
            coordinator: has("coordinator"),
            proxy: has("proxy"),
            controller: has("controller"),
        })
    }

    /// Each of them.
    pub(crate) fn list(self) -> Vec<Role> {
        NAMES.into_iter().map(|(_, role)| role).filter(|role| self.has(*role)).collect()
    }

    fn has(self, role: Role) -> bool {
        match role {
            Role::Broker => self.broker,
            Role::Coordinator => self.coordinator,
            Role::Proxy => self.proxy,
            Role::Controller => self.controller,
        }
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = NAMES.into_iter().filter(|(_, role)| self.has(*role)).map(|(name, _)| name);
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Roles> {
        Roles::parse(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn roles_have_names() {
        let all = ["proxy", "controller", "broker", "coordinator", "broker"];
        assert_eq!(parse(&all).unwrap(), Roles::ALL);
        assert_eq!(Roles::ALL.to_string(), "broker, coordinator, proxy, controller");
        let one = parse(&["proxy"]).unwrap();
        assert_eq!((one.to_string().as_str(), one.list()), ("proxy", vec![Role::Proxy]));
        assert!(parse(&["brocker"]).unwrap_err().to_string().contains("\"brocker\""));
        assert!(parse(&[]).unwrap_err().to_string().contains("at least one"));
    }
}
