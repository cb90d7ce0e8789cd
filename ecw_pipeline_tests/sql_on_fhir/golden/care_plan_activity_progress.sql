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
  "_row_1"."activity_ordinal" AS "activity_ordinal",
  "_row_1"."ordinal" AS "ordinal",
  "_row_1"."progress_time" AS "progress_time",
  "_row_1"."noted_at" AS "noted_at",
  "_row_1"."author_id" AS "author_id",
  "_row_1"."author_type" AS "author_type",
  "_row_1"."author_display" AS "author_display",
  "_row_1"."author_string" AS "author_string",
  "_row_1"."text" AS "text",
  "meta_last_updated",
  "source_line"
FROM (
  SELECT * REPLACE (unnest("_row_1") AS "_row_1")
  FROM (
    SELECT
      "id" AS "care_plan_id",
      CASE WHEN starts_with("subject"."reference", 'Patient/') AND NOT contains(substring("subject"."reference", 9), '/') AND NOT ends_with("subject"."reference", '/') THEN substring("subject"."reference", 9) WHEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -2) = 'Patient' AND regexp_full_match(split_part(split_part("subject"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -1) END AS "patient_id",
      CASE WHEN starts_with("encounter"."reference", 'Encounter/') AND NOT contains(substring("encounter"."reference", 11), '/') AND NOT ends_with("encounter"."reference", '/') THEN substring("encounter"."reference", 11) WHEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -2) = 'Encounter' AND regexp_full_match(split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1) END AS "encounter_id",
      "meta"."lastUpdated" AS "meta_last_updated",
      "ecw_line" AS "source_line",
      flatten(list_transform("activity", lambda x1, i1:
        list_transform(list_transform(x1."progress", lambda x2, i2:
          {
            'ordinal': CAST(i2 - 1 AS INTEGER),
            'progress_time': x2."time",
            'noted_at': TRY_CAST(replace(regexp_replace(CASE WHEN (x2."time" IS NOT NULL) THEN CASE WHEN (CAST(length(x2."time") AS INTEGER) = 4) THEN (coalesce(x2."time", '') || coalesce('-01-01', '')) ELSE CASE WHEN (CAST(length(x2."time") AS INTEGER) = 7) THEN (coalesce(x2."time", '') || coalesce('-01', '')) ELSE x2."time" END END ELSE NULL END, '^(\D|\d{5}).*', ''), ':59:60', ':59:59') AS TIMESTAMP WITH TIME ZONE),
            'author_id': CASE WHEN x2."authorReference"."reference" BETWEEN 'A' AND 'Zz' AND contains(x2."authorReference"."reference", '/') AND NOT contains(substring(x2."authorReference"."reference", strpos(x2."authorReference"."reference", '/') + 1), '/') AND NOT ends_with(x2."authorReference"."reference", '/') THEN substring(x2."authorReference"."reference", strpos(x2."authorReference"."reference", '/') + 1) WHEN split_part(split_part(x2."authorReference"."reference", '/_history/', 1), '/', -2) BETWEEN 'A' AND 'Zz' AND regexp_full_match(split_part(split_part(x2."authorReference"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part(x2."authorReference"."reference", '/_history/', 1), '/', -1) END,
            'author_type': CASE WHEN (x2."authorReference" IS NOT NULL) THEN CASE WHEN (x2."authorReference"."reference" IS NOT NULL) THEN regexp_replace(regexp_replace(CASE WHEN regexp_matches(x2."authorReference"."reference", '(^|/)[A-Z][A-Za-z]+/[A-Za-z0-9._-]{1,256}(/_history/[A-Za-z0-9._-]{1,256})?$', 's') THEN x2."authorReference"."reference" END, '/[A-Za-z0-9._-]{1,256}(/_history/[A-Za-z0-9._-]{1,256})?$', regexp_replace(replace('', '\', '\\'), '\$(\d)', '\\\1', 'g'), 'g'), '^.*/', regexp_replace(replace('', '\', '\\'), '\$(\d)', '\\\1', 'g'), 'g') ELSE x2."authorReference"."type" END ELSE NULL END,
            'author_display': x2."authorReference"."display",
            'author_string': x2."authorString",
            'text': x2."text"
          }
        ), lambda r1_1:
          {
            'activity_ordinal': CAST(i1 - 1 AS INTEGER),
            'ordinal': r1_1."ordinal",
            'progress_time': r1_1."progress_time",
            'noted_at': r1_1."noted_at",
            'author_id': r1_1."author_id",
            'author_type': r1_1."author_type",
            'author_display': r1_1."author_display",
            'author_string': r1_1."author_string",
            'text': r1_1."text"
          }
        )
      )) AS "_row_1"
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
  )
);
