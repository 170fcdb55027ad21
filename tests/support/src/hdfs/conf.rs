//! A folder with Hadoop's configuration.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// How old figures may be that are read from the pages for monitoring; ten seconds by default.
const METRICS: &str = "*.period=1\n";

/// Properties in the order in which they were given; of several with one name the last one counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties(Vec<(String, String)>);

impl Properties {
    /// With these too.
    #[must_use]
    pub(super) fn with<N: Into<String>>(
        mut self,
        more: impl IntoIterator<Item = (N, String)>,
    ) -> Self {
        self.0.extend(more.into_iter().map(|(name, value)| (name.into(), value)));
        self
    }

    /// Makes `folder` with these as `hdfs-site.xml`, for an HDFS on `rpc_port`.
    pub(super) fn write(&self, folder: &Path, rpc_port: u16) -> Result<PathBuf> {
        fs::create_dir(folder)?;
        let core = Properties::default()
            .with([("fs.defaultFS", format!("hdfs://127.0.0.1:{rpc_port}"))])
            .with([("hadoop.tmp.dir", folder.with_extension("tmp").display().to_string())]);
        fs::write(folder.join("core-site.xml"), core.xml())?;
        fs::write(folder.join("hdfs-site.xml"), self.xml())?;
        fs::write(folder.join("hadoop-metrics2.properties"), METRICS)?;
        Ok(folder.to_owned())
    }

    fn xml(&self) -> String {
        let mut xml = "<configuration>\n".to_owned();
        for (name, value) in &self.0 {
            let (name, value) = (escape(name), escape(value));
            // Writing to a string does not fail.
            let _ = writeln!(xml, "<property><name>{name}</name><value>{value}</value></property>");
        }
        xml + "</configuration>\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_become_xml_in_their_order() {
        let properties = Properties::default().with([("a", "1 < 2 & 3".to_owned())]);
        let properties = properties.with([("a", "4".to_owned())]);
        let lines = [
            "<configuration>",
            "<property><name>a</name><value>1 &lt; 2 &amp; 3</value></property>",
            "<property><name>a</name><value>4</value></property>",
            "</configuration>",
        ];
        assert_eq!(properties.xml().lines().collect::<Vec<_>>(), lines);
    }
}
