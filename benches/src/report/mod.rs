//! `report`: a page with plots of what was measured, and the table of targets.

mod bars;
mod lines;
mod page;
mod ratios;
mod scale;
mod subject;

use std::fs;
use std::path::PathBuf;

use crate::args::Report;
use crate::document::Document;
use crate::error::Result;
use crate::targets;
use page::Page;

/// Makes what is asked for.
pub(crate) fn report(args: &Report) -> Result<()> {
    let documents = args.files.iter().map(|path| Document::read(path)).collect::<Result<Vec<_>>>()?;
    let path = args.targets.as_ref().map(|path| path.clone().unwrap_or_else(targets::path));
    let rows = path.map(|path| targets::read(&path)).transpose()?;
    if let Some(rows) = &rows {
        println!("{}", targets::summary(rows));
    }
    if args.ratios {
        documents
            .iter()
            .filter(|document| document.command == "compare")
            .for_each(|document| println!("{}", ratios::ratios(document)));
    }
    let usual = || (!documents.is_empty()).then(|| PathBuf::from("report.html"));
    let Some(path) = args.html.clone().or_else(usual) else { return Ok(()) };
    let mut page = Page::new();
    if let Some(rows) = &rows {
        page.targets(rows);
    }
    documents.iter().for_each(|document| page.document(document));
    fs::write(&path, page.finish()).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
