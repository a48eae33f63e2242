//! The source files of the workspace, parsed, with each item's place among the modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::{Attribute, Item, Meta};

/// All source files of the library, its command line and the ready-made functions.
pub(crate) struct Tree {
    files: Vec<File>,
    /// Paths, without extension, of modules declared under `#[cfg(test)]`.
    tests: BTreeSet<String>,
}

/// One source file.
pub(crate) struct File {
    /// From the top of the workspace, with `/` between folders.
    pub(crate) path: String,
    text: String,
    syntax: syn::File,
}

/// An item that is no module, where it stands.
pub(crate) struct Place<'a> {
    pub(crate) file: &'a File,
    pub(crate) item: &'a Item,
    /// From the crate's root.
    pub(crate) module: Vec<String>,
    /// Whether it is compiled for unit tests alone.
    pub(crate) test: bool,
}

impl Tree {
    pub(crate) fn of_the_house() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = BTreeMap::new();
        for folder in ["src", "handlers/src"] {
            read(&top.join(folder), folder, &mut texts);
        }
        assert!(texts.contains_key("src/lib.rs"), "the house was found");
        Self::new(texts)
    }

    /// A tree of these paths and texts.
    pub(crate) fn new<P: Into<String>, T: Into<String>>(texts: impl IntoIterator<Item = (P, T)>) -> Self {
        let files: Vec<File> = texts.into_iter().map(|(path, text)| File::new(path.into(), text.into())).collect();
        let mut tests = BTreeSet::new();
        for file in &files {
            declared_tests(&file.syntax.items, &file.folder_of_children(), false, &mut tests);
        }
        Self { files, tests }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Whether the file as a whole belongs to unit tests.
    pub(crate) fn is_test(&self, file: &File) -> bool {
        let stem = file.stem();
        let mut ends = stem.match_indices('/').map(|(at, _)| at).chain([stem.len()]);
        ends.any(|end| self.tests.contains(&stem[..end]))
    }

    pub(crate) fn places(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        for file in &self.files {
            collect(file, &file.syntax.items, &file.module(), self.is_test(file), &mut places);
        }
        places
    }

    /// The chosen files that have more lines than that.
    pub(crate) fn longer_than(&self, most: usize, chosen: impl Fn(&str) -> bool) -> Vec<String> {
        let long = self.files.iter().filter(|file| chosen(&file.path) && file.lines() > most);
        long.map(|file| format!("{}: {} lines", file.path, file.lines())).collect()
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, text, syntax }
    }

    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.syntax.items
    }

    /// The path that names the module: no extension, no `mod`.
    fn stem(&self) -> &str {
        let stem = self.path.strip_suffix(".rs").expect("a Rust source file");
        stem.strip_suffix("/mod").unwrap_or(stem)
    }

    fn folder_of_children(&self) -> String {
        let stem = self.stem();
        let root = ["/lib", "/main"].iter().find_map(|name| stem.strip_suffix(name));
        root.unwrap_or(stem).to_owned()
    }

    /// From the crate's root; for the library only, since only it has floors.
    fn module(&self) -> Vec<String> {
        let folder = self.folder_of_children();
        folder.split('/').skip(1).map(str::to_owned).collect()
    }
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, ..))]`. What a feature can switch on as well is no test code: users may compile it.
pub(crate) fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        let condition = list.tokens.to_string().replace(' ', "");
        condition == "test" || condition.starts_with("all(test,")
    })
}

fn read(folder: &Path, name: &str, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a directory entry").path();
        let name = format!("{name}/{}", path.file_name().expect("an entry has a name").to_string_lossy());
        if path.is_dir() {
            read(&path, &name, texts);
        } else if name.ends_with(".rs") {
            texts.insert(name, std::fs::read_to_string(&path).expect("a source is readable"));
        }
    }
}

fn declared_tests(items: &[Item], folder: &str, test: bool, tests: &mut BTreeSet<String>) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        let test = test || only_for_tests(&module.attrs);
        let folder = format!("{folder}/{}", module.ident);
        match &module.content {
            Some((_, items)) => declared_tests(items, &folder, test, tests),
            None if test => drop(tests.insert(folder)),
            None => {}
        }
    }
}

fn collect<'a>(file: &'a File, items: &'a [Item], module: &[String], test: bool, places: &mut Vec<Place<'a>>) {
    for item in items {
        let test = test || only_for_tests(attributes(item));
        match item {
            Item::Mod(inner) => {
                let Some((_, items)) = &inner.content else {
                    continue;
                };
                let module: Vec<String> = module.iter().cloned().chain([inner.ident.to_string()]).collect();
                collect(file, items, &module, test, places);
            }
            item => places.push(Place { file, item, module: module.to_vec(), test }),
        }
    }
}
