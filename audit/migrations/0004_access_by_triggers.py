from django.db import migrations


# Whoever changes a user, a group or what they may do, and by whatever way, has it in the site's chain in the same
# transaction. The spelling of `facts` is that of audit.canonical: names in their order, texts as to_json writes them.
# As the owner and with a search path of its own: a temporary table named audit_draft must not catch the drafts.
NOTE_USER = """
CREATE FUNCTION audit_note_user() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    said text := '{"actor":"SYSTEM","details":{';
    of auth_user;
    fresh boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        of := OLD;
        said := said || '"id":' || of.id || ',"name":' || to_json(of.username);
    ELSE
        of := NEW;
        IF TG_OP = 'INSERT' THEN
            fresh := of.password NOT LIKE '!%' AND of.password <> '';  -- "!" stands before what is no password
        ELSIF to_jsonb(NEW) - 'last_login' = to_jsonb(OLD) - 'last_login' THEN
            RETURN NULL;  -- a login, which is an entry of its own
        ELSE
            fresh := NEW.password <> OLD.password;
        END IF;
        said := said || '"id":' || of.id || ',"is_active":' || of.is_active || ',"is_staff":' || of.is_staff
            || ',"is_superuser":' || of.is_superuser || ',"name":' || to_json(of.username)
            || ',"new_password":' || fresh;
    END IF;
    INSERT INTO audit_draft (chain, kind, subject, facts) VALUES (
        'site', CASE TG_OP WHEN 'INSERT' THEN 'user created' WHEN 'UPDATE' THEN 'user changed' ELSE 'user deleted' END,
        '', said || ',"role":' || to_json(session_user::text) || '}}'
    );
    RETURN NULL;
END;
$$;
CREATE TRIGGER audit_note_user AFTER INSERT OR UPDATE OR DELETE ON auth_user
    FOR EACH ROW EXECUTE FUNCTION audit_note_user();
"""
NOTE_GROUP = """
CREATE FUNCTION audit_note_group() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    of auth_group;
BEGIN
    IF TG_OP = 'DELETE' THEN
        of := OLD;
    ELSE
        of := NEW;
    END IF;
    INSERT INTO audit_draft (chain, kind, subject, facts) VALUES (
        'site',
        CASE TG_OP WHEN 'INSERT' THEN 'group created' WHEN 'UPDATE' THEN 'group changed' ELSE 'group deleted' END,
        '',
        '{"actor":"SYSTEM","details":{"id":' || of.id || ',"name":' || to_json(of.name)
            || ',"role":' || to_json(session_user::text) || '}}'
    );
    RETURN NULL;
END;
$$;
CREATE TRIGGER audit_note_group AFTER INSERT OR UPDATE OR DELETE ON auth_group
    FOR EACH ROW EXECUTE FUNCTION audit_note_group();
"""
# One entry for each user or group that a statement gives something to or takes something from.
NOTE_RIGHTS = """
CREATE FUNCTION audit_note_{table}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO audit_draft (chain, kind, subject, facts)
    SELECT
        'site', 'rights changed', '',
        '{{"actor":"SYSTEM","details":{{"change":' || to_json(TG_ARGV[0]) || ',"entries":['
            || string_agg(to_json(COALESCE({given}, ''))::text, ',' ORDER BY COALESCE({given}, '') COLLATE "C")
            || '],"id":' || touched.{of}_id || ',"kind":"{of}","list":"{list}","of":'
            || to_json(COALESCE(max(holder.{name}), '')) || ',"role":' || to_json(session_user::text) || '}}}}'
    FROM touched LEFT JOIN auth_{of} holder ON holder.id = touched.{of}_id
    {join}
    GROUP BY touched.{of}_id ORDER BY touched.{of}_id;
    RETURN NULL;
END;
$$;
CREATE TRIGGER audit_note_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION audit_note_{table}('added');
CREATE TRIGGER audit_note_removed AFTER DELETE ON {table} REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION audit_note_{table}('removed');
CREATE TRIGGER audit_note_exchanged_1 AFTER UPDATE ON {table} REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION audit_note_{table}('removed');
CREATE TRIGGER audit_note_exchanged_2 AFTER UPDATE ON {table} REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION audit_note_{table}('added');
"""
GROUPS = {
    "list": "group",
    "given": "given.name",
    "join": "LEFT JOIN auth_group given ON given.id = touched.group_id",
}
PERMISSIONS = {
    "list": "permission",
    "given": "given.app_label || '.' || permission.codename",
    "join": "LEFT JOIN auth_permission permission ON permission.id = touched.permission_id"
    " LEFT JOIN django_content_type given ON given.id = permission.content_type_id",
}
USER, GROUP = {"of": "user", "name": "username"}, {"of": "group", "name": "name"}
RIGHTS = {
    "auth_user_groups": USER | GROUPS,
    "auth_user_user_permissions": USER | PERMISSIONS,
    "auth_group_permissions": GROUP | PERMISSIONS,
}


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0003_guard_verifications'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.RunSQL(NOTE_USER, "DROP FUNCTION audit_note_user CASCADE"),
        migrations.RunSQL(NOTE_GROUP, "DROP FUNCTION audit_note_group CASCADE"),
        *(
            migrations.RunSQL(NOTE_RIGHTS.format(table=table, **words), f"DROP FUNCTION audit_note_{table} CASCADE")
            for table, words in RIGHTS.items()
        ),
    ]
