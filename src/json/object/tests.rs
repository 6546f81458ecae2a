//! Holds an object to what an [`IndexMap`] does, with a few fields, with many, and back and forth between them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Something that is done to an object; a name is a number.
#[derive(Debug, Clone)]
enum Step {
    Insert(u8, u64),
    /// The number is taken modulo the places there are.
    ShiftInsert(usize, u8, u64),
    GetOrInsert(u8, u64),
    Change(u8, u64),
    ChangeAll(u64),
    Remove(u8),
    /// Keeps the names whose bits are set, modulo 64.
    Retain(u64),
    Extend(Vec<(u8, u64)>),
    ShrinkToFit,
    Rebuild,
}

/// Names of several lengths, many of one length; every eighth needs an escape.
fn name(number: u8) -> Text {
    let tail = "x".repeat(usize::from(number % 3));
    Text::new(&if number % 8 == 7 { format!("\"{number}{tail}") } else { format!("name{number}{tail}") })
}

fn fields(given: &[(u8, u64)]) -> impl Iterator<Item = (Text, Json)> {
    given.iter().map(|(number, value)| (name(*number), Json::from(*value)))
}

/// Steps with so many names: never more fields than [`FEW`], sometimes, or mostly.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![Just(4_u8), Just(20), Just(64)].prop_flat_map(|names| {
        let (name, value) = (0..names, any::<u64>());
        let step = prop_oneof![
            8 => (name.clone(), value).prop_map(|(name, value)| Step::Insert(name, value)),
            2 => (any::<usize>(), name.clone(), value).prop_map(|(at, name, value)| Step::ShiftInsert(at, name, value)),
            2 => (name.clone(), value).prop_map(|(name, value)| Step::GetOrInsert(name, value)),
            2 => (name.clone(), value).prop_map(|(name, value)| Step::Change(name, value)),
            1 => value.prop_map(Step::ChangeAll),
            5 => name.clone().prop_map(Step::Remove),
            1 => any::<u64>().prop_map(Step::Retain),
            2 => vec((name, value), 0..24).prop_map(Step::Extend),
            1 => Just(Step::ShrinkToFit),
            1 => Just(Step::Rebuild),
        ];
        vec(step, 1..60)
    })
}

/// Takes a step with both, which must give the same.
fn take(step: Step, object: &mut Object, model: &mut IndexMap<Text, Json>) {
    match step {
        Step::Insert(number, value) => {
            assert_eq!(object.insert(name(number), value.into()), model.insert(name(number), value.into()));
        }
        Step::ShiftInsert(at, number, value) => {
            let at = at % (model.len() + usize::from(!model.contains_key(&name(number))));
            assert_eq!(object.shift_insert(at, name(number), value.into()), model.shift_insert(at, name(number), value.into()));
        }
        Step::GetOrInsert(number, value) => {
            let ours = object.get_or_insert_with(name(number), || value.into());
            assert_eq!(ours, model.entry(name(number)).or_insert_with(|| value.into()));
            *ours = Json::Null;
            model.insert(name(number), Json::Null);
        }
        Step::Change(number, value) => {
            let (ours, theirs) = (object.get_mut(&name(number)), model.get_mut(&name(number)));
            assert_eq!(ours, theirs);
            for found in ours.into_iter().chain(theirs) {
                *found = value.into();
            }
        }
        Step::ChangeAll(value) => {
            object.values_mut().chain(model.values_mut()).for_each(|found| *found = value.into());
            object.iter_mut().chain(model.iter_mut()).for_each(|(name, found)| *found = name.to_string().into());
        }
        Step::Remove(number) => {
            let before = object.clone();
            let removed = object.shift_remove_full(&name(number));
            assert_eq!(removed, model.shift_remove_full(&name(number)));
            assert_eq!({ before }.shift_remove(&name(number)), removed.map(|(_, _, value)| value));
        }
        Step::Retain(names) => {
            let kept: Vec<Text> = (0..64).filter(|bit| names >> bit & 1 == 1).map(name).collect();
            object.retain(|name, value| std::mem::replace(value, true.into()) != false.into() && kept.contains(name));
            model.retain(|name, value| std::mem::replace(value, true.into()) != false.into() && kept.contains(name));
        }
        Step::Extend(more) => {
            object.extend(fields(&more));
            model.extend(fields(&more));
        }
        Step::ShrinkToFit => {
            object.shrink_to_fit();
            model.shrink_to_fit();
        }
        Step::Rebuild => {
            *object = std::mem::take(object).into_iter().collect();
            *model = std::mem::take(model).into_iter().collect();
        }
    }
}

/// Compares everything that can be asked.
fn agree(object: &Object, model: &IndexMap<Text, Json>) {
    assert_eq!((object.len(), object.is_empty()), (model.len(), model.is_empty()));
    assert!(object.iter().eq(model.iter()), "{object:?} is {model:?}");
    assert_eq!(object.iter().len(), model.len());
    assert!(object.keys().eq(model.keys()) && object.values().eq(model.values()));
    for name in (0..=64).map(name) {
        assert_eq!(object.get(&name), model.get(&name));
        assert_eq!(object.get_index_of(&name), model.get_index_of(&name));
        assert_eq!(object.contains_key(&name), model.contains_key(&name));
        let plain: &str = name.borrow();
        assert_eq!(object.get(plain), model.get(plain));
        assert!(!model.contains_key(&name) || object[&name] == model[&name]);
    }
}

fn has_an_index(object: &Object) -> bool {
    matches!(object.0, Form::Many(_))
}

proptest! {
    #[test]
    fn an_object_does_what_an_index_map_does(steps in steps()) {
        let (mut object, mut model) = (Object::new(), IndexMap::new());
        for step in steps {
            take(step, &mut object, &mut model);
            agree(&object, &model);
            prop_assert!(object.len() <= FEW || has_an_index(&object));
        }
        prop_assert_eq!(format!("{object:?} {object:#?}"), format!("{model:?} {model:#?}"));
        prop_assert!(object.clone().into_values().eq(model.values().cloned()));
        prop_assert!(object.into_iter().eq(model));
    }

    /// Whatever order they are in, and whether or not they have an index.
    #[test]
    fn equal_objects_have_equal_fields(
        (given, mixed) in vec((0_u8..40, 0_u64..3), 0..40).prop_flat_map(|given| {
            let fields: IndexMap<u8, u64> = given.into_iter().collect();
            let fields: Vec<(u8, u64)> = fields.into_iter().collect();
            (Just(fields.clone()), Just(fields).prop_shuffle())
        }),
        change in any::<prop::sample::Index>(),
    ) {
        let one: Object = fields(&given).collect();
        let mut other = Object::with_capacity(FEW + 1);
        other.extend(fields(&mixed));
        prop_assert!(has_an_index(&other));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(&one, &fields(&mixed).collect::<Object>());
        if given.is_empty() {
            return Ok(());
        }
        let (changed, value) = mixed[change.index(mixed.len())];
        other.insert(name(changed), Json::from(value + 1));
        prop_assert_ne!(&one, &other);
        prop_assert_ne!(&other, &one);
        other.shift_remove(&name(changed));
        prop_assert_ne!(&one, &other);
        prop_assert_ne!(&other, &one);
        other.insert(name(50), value.into());
        prop_assert_ne!(&one, &other);
        prop_assert_ne!(&other, &one);
    }
}

#[test]
fn only_more_than_few_fields_have_an_index_and_keep_it() {
    let mut object = Object::with_capacity(FEW);
    for number in 0..16 {
        object.insert(name(number), Json::Null);
    }
    object.insert(name(3), true.into());
    assert!(!has_an_index(&object) && !has_an_index(&object.clone()));
    object.insert(name(16), Json::Null);
    assert!(has_an_index(&object) && has_an_index(&object.clone()));
    object.retain(|one, _| *one == name(3));
    assert!(has_an_index(&object));
    agree(&object, &IndexMap::from([(name(3), true.into())]));
    assert!(!has_an_index(&object.into_iter().collect()));
}

#[test]
fn the_last_field_that_still_fits_can_be_put_anywhere() {
    let few: Object = (0..15).map(|number| (name(number), Json::Null)).collect();
    for place in 0..=15 {
        let (mut object, mut model) = (few.clone(), few.clone().into_iter().collect::<IndexMap<_, _>>());
        for number in [30, 31, 30] {
            take(Step::ShiftInsert(place, number, 7), &mut object, &mut model);
            agree(&object, &model);
        }
    }
}

#[test]
#[should_panic(expected = "insertion index (is 3) should be <= len (is 2)")]
fn there_is_no_place_behind_the_place_behind_the_last() {
    let mut object: Object = (0..3).map(|number| (name(number), Json::Null)).collect();
    object.shift_insert(3, name(1), Json::Null);
}
