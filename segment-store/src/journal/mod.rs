//! Write-ahead logs.
