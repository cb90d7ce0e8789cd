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
        list_transform("code"."coding", lambda x1, i1:
          {
            'element': 'code',
            'element_ordinal': 0,
            'ordinal': CAST(i1 - 1 AS INTEGER),
            'system': x1."system",
            'version': x1."version",
            'code': x1."code",
            'display': x1."display",
            'user_selected': x1."userSelected"
          }
        ),
        flatten(list_transform("category", lambda x1, i1:
          list_transform(list_transform(x1."coding", lambda x2, i2:
            {
              'ordinal': CAST(i2 - 1 AS INTEGER),
              'system': x2."system",
              'version': x2."version",
              'code': x2."code",
              'display': x2."display",
              'user_selected': x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'category',
              'element_ordinal': CAST(i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )),
        list_transform("severity"."coding", lambda x1, i1:
          {
            'element': 'severity',
            'element_ordinal': 0,
            'ordinal': CAST(i1 - 1 AS INTEGER),
            'system': x1."system",
            'version': x1."version",
            'code': x1."code",
            'display': x1."display",
            'user_selected': x1."userSelected"
          }
        ),
        flatten(list_transform("bodySite", lambda x1, i1:
          list_transform(list_transform(x1."coding", lambda x2, i2:
            {
              'ordinal': CAST(i2 - 1 AS INTEGER),
              'system': x2."system",
              'version': x2."version",
              'code': x2."code",
              'display': x2."display",
              'user_selected': x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'body_site',
              'element_ordinal': CAST(i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )),
        list_transform("clinicalStatus"."coding", lambda x1, i1:
          {
            'element': 'clinical_status',
            'element_ordinal': 0,
            'ordinal': CAST(i1 - 1 AS INTEGER),
            'system': x1."system",
            'version': x1."version",
            'code': x1."code",
            'display': x1."display",
            'user_selected': x1."userSelected"
          }
        ),
        list_transform("verificationStatus"."coding", lambda x1, i1:
          {
            'element': 'verification_status',
            'element_ordinal': 0,
            'ordinal': CAST(i1 - 1 AS INTEGER),
            'system': x1."system",
            'version': x1."version",
            'code': x1."code",
            'display': x1."display",
            'user_selected': x1."userSelected"
          }
        ),
        flatten(list_transform(list_filter(list_transform("stage", lambda v: v."summary"), lambda v: v IS NOT NULL), lambda x1, i1:
          list_transform(list_transform(x1."coding", lambda x2, i2:
            {
              'ordinal': CAST(i2 - 1 AS INTEGER),
              'system': x2."system",
              'version': x2."version",
              'code': x2."code",
              'display': x2."display",
              'user_selected': x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'stage',
              'element_ordinal': CAST(i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        )),
        flatten(list_transform(flatten(list_transform("evidence", lambda v: v."code")), lambda x1, i1:
          list_transform(list_transform(x1."coding", lambda x2, i2:
            {
              'ordinal': CAST(i2 - 1 AS INTEGER),
              'system': x2."system",
              'version': x2."version",
              'code': x2."code",
              'display': x2."display",
              'user_selected': x2."userSelected"
            }
          ), lambda r1_1:
            {
              'element': 'evidence',
              'element_ordinal': CAST(i1 - 1 AS INTEGER),
              'ordinal': r1_1."ordinal",
              'system': r1_1."system",
              'version': r1_1."version",
              'code': r1_1."code",
              'display': r1_1."display",
              'user_selected': r1_1."user_selected"
            }
          )
        ))
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
  )
);
