//! Types as WIT spells them.

use wit_parser::{Docs, Handle, Interface, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// A type's definition as the interface has it; none for one that it only uses.
pub(super) fn definition(
    resolve: &Resolve,
    interface: &Interface,
    name: &str,
    id: TypeId,
) -> Option<String> {
    let ty = resolve.types.get(id)?;
    let body = match &ty.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let fields = fields.map(|field| {
                let text = format!("{}: {}", field.name, name_of(resolve, &field.ty));
                (text, &field.docs)
            });
            block("record", name, fields)
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| {
                let of = case
                    .ty
                    .as_ref()
                    .map(|ty| format!("({})", name_of(resolve, ty)));
                (
                    format!("{}{}", case.name, of.unwrap_or_default()),
                    &case.docs,
                )
            });
            block("variant", name, cases)
        }
        TypeDefKind::Enum(enumeration) => {
            let cases = enumeration.cases.iter();
            block(
                "enum",
                name,
                cases.map(|case| (case.name.clone(), &case.docs)),
            )
        }
        TypeDefKind::Flags(flags) => {
            let flags = flags.flags.iter();
            block(
                "flags",
                name,
                flags.map(|flag| (flag.name.clone(), &flag.docs)),
            )
        }
        TypeDefKind::Resource => format!("resource {name};"),
        TypeDefKind::Type(Type::Id(other)) if !is_own(resolve, interface, *other) => return None,
        kind => format!("type {name} = {};", of_kind(resolve, kind)),
    };
    Some(format!("{}{body}", comment(&ty.docs, "")))
}

/// A type where it is used.
pub(super) fn name_of(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else {
        return plain(ty).to_owned();
    };
    let Some(definition) = resolve.types.get(*id) else {
        return "?".to_owned();
    };
    match &definition.name {
        Some(name) => name.clone(),
        None => of_kind(resolve, &definition.kind),
    }
}

fn of_kind(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let name = |ty: &Type| name_of(resolve, ty);
    let named = |id: &TypeId| name_of(resolve, &Type::Id(*id));
    match kind {
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(name).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Option(of) => format!("option<{}>", name(of)),
        TypeDefKind::List(of) => format!("list<{}>", name(of)),
        TypeDefKind::Result(result) => {
            let ok = result.ok.as_ref().map_or_else(|| "_".to_owned(), name);
            match &result.err {
                Some(error) => format!("result<{ok}, {}>", name(error)),
                None => format!("result<{ok}>"),
            }
        }
        TypeDefKind::Handle(Handle::Own(id)) => named(id),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(id)),
        TypeDefKind::Type(ty) => name(ty),
        other => other.as_str().to_owned(),
    }
}

fn plain(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(_) => "?",
    }
}

/// Whether this interface makes the type itself.
fn is_own(resolve: &Resolve, interface: &Interface, id: TypeId) -> bool {
    let owner = resolve.types.get(id).map(|ty| ty.owner);
    match owner {
        Some(TypeOwner::Interface(owner)) => {
            let owner = resolve.interfaces.get(owner);
            owner.is_some_and(|owner| {
                owner.name == interface.name && owner.package == interface.package
            })
        }
        Some(TypeOwner::None) => true,
        _ => false,
    }
}

fn block<'a>(keyword: &str, name: &str, parts: impl Iterator<Item = (String, &'a Docs)>) -> String {
    let parts: String = parts
        .map(|(text, docs)| format!("{}    {text},\n", comment(docs, "    ")))
        .collect();
    format!("{keyword} {name} {{\n{parts}}}")
}

fn comment(docs: &Docs, indent: &str) -> String {
    let docs = docs.contents.as_deref().unwrap_or_default().trim();
    let lines = docs.lines().filter(|_| !docs.is_empty());
    lines
        .map(|line| format!("{indent}{}\n", format!("/// {line}").trim_end()))
        .collect()
}
