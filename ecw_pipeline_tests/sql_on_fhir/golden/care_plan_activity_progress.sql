CREATE TABLE "care_plan_activity_progress" (
  "care_plan_id" VARCHAR NOT NULL,
  "patient_id" VARCHAR,
  "encounter_id" VARCHAR,
  "activity_ordinal" INTEGER NOT NULL,
  "ordinal" INTEGER NOT NULL,
  "progress_time" VARCHAR,
  "noted_at" TIMESTAMP WITH TIME ZONE,
  "author_id" VARCHAR,
  "author_type" VARCHAR,
  "author_display" VARCHAR,
  "author_string" VARCHAR,
  "text" VARCHAR,
  "meta_last_updated" VARCHAR,
  "source_line" BIGINT NOT NULL
);

SELECT
  "care_plan_id",
  "patient_id",
  "encounter_id",
  "activity_ordinal",
  CAST(_i2 - 1 AS INTEGER) AS "ordinal",
  _x2."time" AS "progress_time",
  list_transform([CASE WHEN (_x2."time" IS NOT NULL) THEN CASE WHEN (CAST(length(_x2."time") AS INTEGER) = 4) THEN (coalesce(_x2."time", '') || coalesce('-01-01', '')) ELSE CASE WHEN (CAST(length(_x2."time") AS INTEGER) = 7) THEN (coalesce(_x2."time", '') || coalesce('-01', '')) ELSE _x2."time" END END ELSE NULL END], lambda t1: TRY_CAST(CASE WHEN NOT (t1 BETWEEN '0' AND ':' AND strpos(t1, '-') = 5) OR contains(substring(t1, 12), ' ') THEN NULL WHEN contains(t1, ':59:60') THEN replace(t1, ':59:60', ':59:59') ELSE t1 END AS TIMESTAMP WITH TIME ZONE))[1] AS "noted_at",
  CASE WHEN _x2."authorReference"."reference" BETWEEN 'A' AND 'Zz' AND contains(_x2."authorReference"."reference", '/') AND NOT contains(substring(_x2."authorReference"."reference", strpos(_x2."authorReference"."reference", '/') + 1), '/') AND NOT ends_with(_x2."authorReference"."reference", '/') THEN substring(_x2."authorReference"."reference", strpos(_x2."authorReference"."reference", '/') + 1) WHEN split_part(split_part(_x2."authorReference"."reference", '/_history/', 1), '/', -2) BETWEEN 'A' AND 'Zz' AND regexp_full_match(split_part(split_part(_x2."authorReference"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part(_x2."authorReference"."reference", '/_history/', 1), '/', -1) END AS "author_id",
  CASE WHEN (_x2."authorReference" IS NOT NULL) THEN CASE WHEN (_x2."authorReference"."reference" IS NOT NULL) THEN regexp_replace(regexp_replace(CASE WHEN regexp_matches(_x2."authorReference"."reference", '(^|/)[A-Z][A-Za-z]+/[A-Za-z0-9._-]+(/_history/[A-Za-z0-9._-]+)?$', 's') THEN _x2."authorReference"."reference" END, '/[A-Za-z0-9._-]+(/_history/[A-Za-z0-9._-]+)?$', ''), '^.*/', '') ELSE _x2."authorReference"."type" END ELSE NULL END AS "author_type",
  _x2."authorReference"."display" AS "author_display",
  _x2."authorString" AS "author_string",
  _x2."text" AS "text",
  "meta_last_updated",
  "source_line"
FROM (
  SELECT * REPLACE (unnest("_x2") AS "_x2"), generate_subscripts("_x2", 1) AS "_i2"
  FROM (
    SELECT
      "care_plan_id",
      "patient_id",
      "encounter_id",
      CAST(_i1 - 1 AS INTEGER) AS "activity_ordinal",
      "meta_last_updated",
      "source_line",
      _x1."progress" AS "_x2"
    FROM (
      SELECT * REPLACE (unnest("_x1") AS "_x1"), generate_subscripts("_x1", 1) AS "_i1"
      FROM (
        SELECT
          "id" AS "care_plan_id",
          CASE WHEN starts_with("subject"."reference", 'Patient/') AND NOT contains(substring("subject"."reference", 9), '/') AND NOT ends_with("subject"."reference", '/') THEN substring("subject"."reference", 9) WHEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -2) = 'Patient' AND regexp_full_match(split_part(split_part("subject"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -1) END AS "patient_id",
          CASE WHEN starts_with("encounter"."reference", 'Encounter/') AND NOT contains(substring("encounter"."reference", 11), '/') AND NOT ends_with("encounter"."reference", '/') THEN substring("encounter"."reference", 11) WHEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -2) = 'Encounter' AND regexp_full_match(split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1) END AS "encounter_id",
          "meta"."lastUpdated" AS "meta_last_updated",
          "ecw_line" AS "source_line",
          "activity" AS "_x1"
        FROM read_json(
          ['CarePlan.ndjson'],
          format = 'newline_delimited',
          maximum_object_size = 16777216,
          columns = {
            'activity': 'STRUCT("progress" STRUCT("time" VARCHAR, "authorReference" STRUCT("reference" VARCHAR, "type" VARCHAR, "display" VARCHAR), "authorString" VARCHAR, "text" VARCHAR)[])[]',
            'id': 'VARCHAR',
            'subject': 'STRUCT("reference" VARCHAR)',
            'encounter': 'STRUCT("reference" VARCHAR)',
            'meta': 'STRUCT("lastUpdated" VARCHAR)',
            'ecw_line': 'BIGINT'
          }
        )
        WHERE len("activity") > 0
      )
    )
  )
);
