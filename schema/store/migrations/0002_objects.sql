-- The objects of the API server: current state, and every change in commit order.

insert into public.ark_migrations (migration, oldest_program) values (2, 2);

-- Ark's resources. `object` is the truth and what clients are sent; the other columns are derived for people's SQL.
create table public.resources (
    api_version      text not null,
    kind             text collate "C" not null,
    namespace        text collate "C" not null,
    name             text collate "C" not null,
    uid              uuid not null,
    resource_version bigint not null,
    generation       bigint,
    spec             jsonb,
    status           jsonb,
    labels           jsonb,
    annotations      jsonb,
    finalizers       jsonb,
    owner_references jsonb,
    created_at       timestamptz,
    updated_at       timestamptz not null default clock_timestamp(),
    deleted_at       timestamptz,          -- metadata.deletionTimestamp: waits for its finalizers
    object           text not null,        -- canonical JSON, as sent
    primary key (kind, namespace, name)
);

-- Kubernetes' own kinds, which the server keeps when it stands alone. Secrets are sealed by the server.
create table public.core_objects (
    api_group        text collate "C" not null,
    kind             text collate "C" not null,
    namespace        text collate "C" not null,
    name             text collate "C" not null,
    uid              uuid not null,
    resource_version bigint not null,
    object           text not null,
    primary key (api_group, kind, namespace, name)
);

-- Every write, in commit order, with the object before and after it.
create table public.changes (
    rv        bigint not null,
    api_group text collate "C" not null,
    kind      text collate "C" not null,
    namespace text collate "C" not null,
    name      text collate "C" not null,
    uid       uuid not null,
    op        smallint not null,           -- 1 added, 2 modified, 3 deleted
    before    text,                        -- null for added
    after     text not null,               -- for deleted: the last state with this rv
    at        timestamptz not null default clock_timestamp(),
    primary key (rv)
) partition by range (rv);
create index changes_key on public.changes (api_group, kind, namespace, name, rv);
create table public.changes_0 partition of public.changes for values from (0) to (50000);

-- One row: revisions up to this one can no longer be read back.
create table public.compaction (
    single       boolean primary key default true check (single),
    compacted_rv bigint not null default 0
);
insert into public.compaction default values;

-- Makes the partition that holds a revision. Partitions are 50,000 revisions wide.
create function public.ark_partition_v1(p_rv bigint) returns void language plpgsql as $$
declare
    part bigint := p_rv / 50000;
    part_name text := format('changes_%s', part);
begin
    if to_regclass('public.' || part_name) is not null then return; end if;
    execute format('create table public.%I (like public.changes including all)', part_name);
    execute format('alter table public.changes attach partition public.%I for values from (%s) to (%s)',
        part_name, part * 50000, (part + 1) * 50000);
end $$;

-- Writes a batch of objects. All writers pass one advisory lock, and revisions are taken under it, so that revisions
-- become visible in their order. Each element says what happened to it; nothing is raised for one element alone.
create function public.ark_write_v1(
    p_group text[], p_api_version text[], p_kind text[], p_namespace text[], p_name text[], p_uid uuid[],
    p_change smallint[],                   -- 1 create, 2 update, 3 delete
    p_expected bigint[],                   -- the revision that an update or delete was made from
    p_head text[], p_tail text[],          -- the object's text around the revision
    p_derived text[])                      -- the object without U+0000, for the derived columns
returns table (ordinal integer, result text, revision bigint)
language plpgsql set lock_timeout = '3s' as $$
#variable_conflict use_column
declare
    i integer;
    next_rv bigint;
    current_uid uuid;
    current_rv bigint;
    current_object text;
    body text;
    d jsonb;
    ark boolean;
begin
    perform pg_advisory_xact_lock(72398471);
    select coalesce(max(rv), 0) + 1 into next_rv from public.changes;
    perform public.ark_partition_v1(next_rv + cardinality(p_kind));
    for i in 1 .. cardinality(p_kind) loop
        ordinal := i;
        revision := null;
        ark := p_group[i] = 'ark.mckinsey.com';
        body := p_head[i] || next_rv || p_tail[i];
        d := p_derived[i]::jsonb;
        current_object := null;
        if p_change[i] = 1 then
            if ark then
                insert into public.resources (api_version, kind, namespace, name, uid, resource_version, generation,
                    spec, status, labels, annotations, finalizers, owner_references, created_at, deleted_at, object)
                values (p_api_version[i], p_kind[i], p_namespace[i], p_name[i], p_uid[i], next_rv,
                    (d #>> '{metadata,generation}')::bigint, d -> 'spec', d -> 'status', d #> '{metadata,labels}',
                    d #> '{metadata,annotations}', d #> '{metadata,finalizers}', d #> '{metadata,ownerReferences}',
                    (d #>> '{metadata,creationTimestamp}')::timestamptz, null, body)
                on conflict do nothing;
            else
                insert into public.core_objects (api_group, kind, namespace, name, uid, resource_version, object)
                values (p_group[i], p_kind[i], p_namespace[i], p_name[i], p_uid[i], next_rv, body)
                on conflict do nothing;
            end if;
            if not found then
                result := 'exists'; return next; continue;
            end if;
        else
            if ark then
                select uid, resource_version, object into current_uid, current_rv, current_object from public.resources
                where kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i]
                for update skip locked;
            else
                select uid, resource_version, object into current_uid, current_rv, current_object from public.core_objects
                where api_group = p_group[i] and kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i]
                for update skip locked;
            end if;
            if not found then
                if ark and exists (select from public.resources
                        where kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i])
                    or not ark and exists (select from public.core_objects where api_group = p_group[i]
                        and kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i])
                then result := 'busy'; else result := 'missing'; end if;
                return next; continue;
            end if;
            if current_uid <> p_uid[i] or current_rv <> p_expected[i] then
                result := 'conflict'; return next; continue;
            end if;
            if p_change[i] = 2 and ark then
                update public.resources set resource_version = next_rv,
                    generation = (d #>> '{metadata,generation}')::bigint, spec = d -> 'spec', status = d -> 'status',
                    labels = d #> '{metadata,labels}', annotations = d #> '{metadata,annotations}',
                    finalizers = d #> '{metadata,finalizers}', owner_references = d #> '{metadata,ownerReferences}',
                    updated_at = clock_timestamp(),
                    deleted_at = (d #>> '{metadata,deletionTimestamp}')::timestamptz, object = body
                where kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i];
            elsif p_change[i] = 2 then
                update public.core_objects set resource_version = next_rv, object = body
                where api_group = p_group[i] and kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i];
            elsif ark then
                delete from public.resources
                where kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i];
            else
                delete from public.core_objects
                where api_group = p_group[i] and kind = p_kind[i] and namespace = p_namespace[i] and name = p_name[i];
            end if;
        end if;
        insert into public.changes (rv, api_group, kind, namespace, name, uid, op, before, after)
        values (next_rv, p_group[i], p_kind[i], p_namespace[i], p_name[i], p_uid[i], p_change[i],
            current_object, body);
        result := 'committed'; revision := next_rv; next_rv := next_rv + 1;
        return next;
    end loop;
    perform pg_notify('ark_changes', '');
end $$;
