CREATE TABLE "condition_coding" (
  "condition_id" VARCHAR NOT NULL,
  "patient_id" VARCHAR,
  "encounter_id" VARCHAR,
  "element" VARCHAR NOT NULL,
  "element_ordinal" INTEGER NOT NULL,
  "ordinal" INTEGER NOT NULL,
  "system" VARCHAR,
  "version" VARCHAR,
  "code" VARCHAR,
  "display" VARCHAR,
  "user_selected" BOOLEAN,
  "meta_last_updated" VARCHAR,
  "source_line" BIGINT NOT NULL
);

SELECT
  "condition_id",
  "patient_id",
  "encounter_id",
  "_row_1"."element" AS "element",
  "_row_1"."element_ordinal" AS "element_ordinal",
  "_row_1"."ordinal" AS "ordinal",
  "_row_1"."system" AS "system",
  "_row_1"."version" AS "version",
  "_row_1"."code" AS "code",
  "_row_1"."display" AS "display",
  "_row_1"."user_selected" AS "user_selected",
  "meta_last_updated",
  "source_line"
FROM (
  SELECT * REPLACE (unnest("_row_1") AS "_row_1")
  FROM (
    SELECT
      "id" AS "condition_id",
      CASE WHEN starts_with("subject"."reference", 'Patient/') AND NOT contains(substring("subject"."reference", 9), '/') AND NOT ends_with("subject"."reference", '/') THEN substring("subject"."reference", 9) WHEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -2) = 'Patient' AND regexp_full_match(split_part(split_part("subject"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("subject"."reference", '/_history/', 1), '/', -1) END AS "patient_id",
      CASE WHEN starts_with("encounter"."reference", 'Encounter/') AND NOT contains(substring("encounter"."reference", 11), '/') AND NOT ends_with("encounter"."reference", '/') THEN substring("encounter"."reference", 11) WHEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -2) = 'Encounter' AND regexp_full_match(split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1), '[A-Za-z0-9\-._]+') THEN split_part(split_part("encounter"."reference", '/_history/', 1), '/', -1) END AS "encounter_id",
      "meta"."lastUpdated" AS "meta_last_updated",
      "ecw_line" AS "source_line",
      list_concat(
        CASE WHEN "code" IS NOT NULL
        THEN list_transform("code"."coding", lambda _x1, _i1:
          {
            'element': 'code',
            'element_ordinal': 0,
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'system': _x1."system",
            'version': _x1."version",
            'code': _x1."code",
            'display': _x1."display",
            'user_selected': _x1."userSelected"
          }
        ) END,
        CASE WHEN len("category") > 0
        THEN flatten(list_transform("category", lambda _x1, _i1:
          list_transform(list_transform(_x1."coding", lambda _x2, _i2:
            {
              'ordinal': CAST(_i2 - 1 AS INTEGER),
              'system': _x2."system",
              'version': _x2."version",
              'code': _x2."code",
              'display': _x2."display",
              'user_selected': _x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'category',
              'element_ordinal': CAST(_i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )) END,
        CASE WHEN "severity" IS NOT NULL
        THEN list_transform("severity"."coding", lambda _x1, _i1:
          {
            'element': 'severity',
            'element_ordinal': 0,
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'system': _x1."system",
            'version': _x1."version",
            'code': _x1."code",
            'display': _x1."display",
            'user_selected': _x1."userSelected"
          }
        ) END,
        CASE WHEN len("bodySite") > 0
        THEN flatten(list_transform("bodySite", lambda _x1, _i1:
          list_transform(list_transform(_x1."coding", lambda _x2, _i2:
            {
              'ordinal': CAST(_i2 - 1 AS INTEGER),
              'system': _x2."system",
              'version': _x2."version",
              'code': _x2."code",
              'display': _x2."display",
              'user_selected': _x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'body_site',
              'element_ordinal': CAST(_i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )) END,
        CASE WHEN "clinicalStatus" IS NOT NULL
        THEN list_transform("clinicalStatus"."coding", lambda _x1, _i1:
          {
            'element': 'clinical_status',
            'element_ordinal': 0,
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'system': _x1."system",
            'version': _x1."version",
            'code': _x1."code",
            'display': _x1."display",
            'user_selected': _x1."userSelected"
          }
        ) END,
        CASE WHEN "verificationStatus" IS NOT NULL
        THEN list_transform("verificationStatus"."coding", lambda _x1, _i1:
          {
            'element': 'verification_status',
            'element_ordinal': 0,
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'system': _x1."system",
            'version': _x1."version",
            'code': _x1."code",
            'display': _x1."display",
            'user_selected': _x1."userSelected"
          }
        ) END,
        CASE WHEN len("stage") > 0
        THEN flatten(list_transform(list_filter(list_transform("stage", lambda v: v."summary"), lambda v: v IS NOT NULL), lambda _x1, _i1:
          list_transform(list_transform(_x1."coding", lambda _x2, _i2:
            {
              'ordinal': CAST(_i2 - 1 AS INTEGER),
              'system': _x2."system",
              'version': _x2."version",
              'code': _x2."code",
              'display': _x2."display",
              'user_selected': _x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'stage',
              'element_ordinal': CAST(_i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )) END,
        CASE WHEN len("evidence") > 0
        THEN flatten(list_transform(flatten(list_transform("evidence", lambda v: v."code")), lambda _x1, _i1:
          list_transform(list_transform(_x1."coding", lambda _x2, _i2:
            {
              'ordinal': CAST(_i2 - 1 AS INTEGER),
              'system': _x2."system",
              'version': _x2."version",
              'code': _x2."code",
              'display': _x2."display",
              'user_selected': _x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'evidence',
              'element_ordinal': CAST(_i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )) END
      ) AS "_row_1"
    FROM read_json(
      ['Condition.ndjson'],
      format = 'newline_delimited',
      maximum_object_size = 16777216,
      columns = {
        'code': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])',
        'category': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])[]',
        'severity': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])',
        'bodySite': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])[]',
        'clinicalStatus': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])',
        'verificationStatus': 'STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])',
        'stage': 'STRUCT("summary" STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[]))[]',
        'evidence': 'STRUCT("code" STRUCT("coding" STRUCT("system" VARCHAR, "version" VARCHAR, "code" VARCHAR, "display" VARCHAR, "userSelected" BOOLEAN)[])[])[]',
        'id': 'VARCHAR',
        'subject': 'STRUCT("reference" VARCHAR)',
        'encounter': 'STRUCT("reference" VARCHAR)',
        'meta': 'STRUCT("lastUpdated" VARCHAR)',
        'ecw_line': 'BIGINT'
      }
    )
    WHERE ("code" IS NOT NULL OR len("category") > 0 OR "severity" IS NOT NULL OR len("bodySite") > 0 OR "clinicalStatus" IS NOT NULL OR "verificationStatus" IS NOT NULL OR len("stage") > 0 OR len("evidence") > 0)
  )
);
