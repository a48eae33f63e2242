//! `anabranch filter print`.

use anabranch::{
    pattern::{Condition, Filter, FilterCriteria, Pattern, PatternError, attribute},
    record::EventName,
};

use crate::BoxError;

/// Print filter patterns for a template: one made of the options, or without options those that are mostly used.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these kinds of change
    #[arg(long = "event", value_name = "NAME", ignore_case = true)]
    events: Vec<Event>,
    /// Only items with this text in the attribute, before or after the change
    #[arg(long, value_name = "NAME=TEXT", value_parser = named)]
    item: Vec<(String, String)>,
    /// Only items with this text in the attribute after the change
    #[arg(long, value_name = "NAME=TEXT", value_parser = named)]
    new: Vec<(String, String)>,
    /// Only items with this text in the attribute before the change
    #[arg(long, value_name = "NAME=TEXT", value_parser = named)]
    old: Vec<(String, String)>,
    /// Only items with a key attribute that begins so
    #[arg(long, value_name = "NAME=PREFIX", value_parser = named)]
    key: Vec<(String, String)>,
    /// Only what time to live has removed, or nothing that it has
    #[arg(long, value_name = "WHICH")]
    ttl: Option<TimeToLive>,
    /// Print the patterns alone, one on a line
    #[arg(long)]
    plain: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Event {
    Insert,
    Modify,
    Remove,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TimeToLive {
    Only,
    Never,
}

fn named(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=text")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args) -> Result<(), BoxError> {
    let filter = args.filter();
    if filter != Filter::new() {
        show(args.plain, None, &FilterCriteria::from_iter([filter.build()?]));
        return Ok(());
    }
    for (what, filters) in common() {
        let patterns: Result<Vec<Pattern>, PatternError> = filters.into_iter().map(Filter::build).collect();
        show(args.plain, Some(what), &patterns?.into_iter().collect());
    }
    Ok(())
}

fn show(plain: bool, what: Option<&str>, criteria: &FilterCriteria) {
    if plain {
        return criteria.patterns().iter().for_each(|pattern| println!("{pattern}"));
    }
    match what {
        Some(what) => println!("# {what}\n{criteria}"),
        None => print!("{criteria}"),
    }
}

impl Args {
    fn filter(&self) -> Filter {
        let mut filter = Filter::new();
        if !self.events.is_empty() {
            filter = filter.events(self.events.iter().map(|event| match event {
                Event::Insert => EventName::Insert,
                Event::Modify => EventName::Modify,
                Event::Remove => EventName::Remove,
            }));
        }
        let is = |(name, text): &(String, String)| attribute(name).is(&**text);
        let begins = |(name, prefix): &(String, String)| attribute(name).begins_with(prefix);
        filter = self.item.iter().map(is).fold(filter, Filter::either_image);
        filter = self.new.iter().map(is).fold(filter, Filter::new_image);
        filter = self.old.iter().map(is).fold(filter, Filter::old_image);
        filter = self.key.iter().map(begins).fold(filter, Filter::keys);
        match self.ttl {
            Some(TimeToLive::Only) => filter.time_to_live_only(),
            Some(TimeToLive::Never) => filter.without_time_to_live(),
            None => filter,
        }
    }
}

/// What streams are mostly filtered by, with the entities of PetTracker, and what its functions ask for.
fn common() -> Vec<(&'static str, Vec<Filter>)> {
    let is = |entities: &[&str]| -> Condition { attribute("entityType").is_one_of(entities.iter().copied()) };
    // A pattern for each image: a removal has no new one, an insertion no old one.
    let of = |entities: &[&str]| vec![Filter::new().new_image(is(entities)), Filter::new().old_image(is(entities))];
    vec![
        ("insertions of pets only", vec![Filter::new().events([EventName::Insert]).new_image(is(&["PET"]))]),
        ("items of which a key begins so", vec![Filter::new().keys(attribute("SK").begins_with("PET#"))]),
        ("removals by time to live only", vec![Filter::new().time_to_live_only()]),
        ("nothing that time to live has removed", vec![Filter::new().without_time_to_live()]),
        ("the function materialize: pets and activities", of(&["PET", "ACTIVITY"])),
        ("the function notify: pets", of(&["PET"])),
        ("the function index: pets and activities", of(&["PET", "ACTIVITY"])),
        ("the function replicate: everything", Vec::new()),
    ]
}
