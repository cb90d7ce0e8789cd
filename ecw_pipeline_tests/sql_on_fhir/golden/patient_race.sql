CREATE TABLE "patient_race" (
  "patient_id" VARCHAR NOT NULL,
  "kind" VARCHAR NOT NULL,
  "ordinal" INTEGER NOT NULL,
  "category" VARCHAR,
  "code" VARCHAR,
  "system" VARCHAR,
  "display" VARCHAR,
  "text" VARCHAR,
  "meta_last_updated" VARCHAR,
  "source_line" BIGINT NOT NULL
);

SELECT
  "patient_id",
  "_row_1"."kind" AS "kind",
  "_row_1"."ordinal" AS "ordinal",
  "_row_1"."category" AS "category",
  "_row_1"."code" AS "code",
  "_row_1"."system" AS "system",
  "_row_1"."display" AS "display",
  "_row_1"."text" AS "text",
  "meta_last_updated",
  "source_line"
FROM (
  SELECT * REPLACE (unnest("_row_1") AS "_row_1")
  FROM (
    SELECT
      "id" AS "patient_id",
      "meta"."lastUpdated" AS "meta_last_updated",
      "ecw_line" AS "source_line",
      list_concat(
        CASE WHEN len("extension") > 0
        THEN list_transform(flatten(list_transform(list_filter("extension", lambda e1: (e1."url" = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-race')), lambda v: v."extension")), lambda _x1, _i1:
          {
            'kind': 'race',
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'category': _x1."url",
            'code': _x1."valueCoding"."code",
            'system': _x1."valueCoding"."system",
            'display': _x1."valueCoding"."display",
            'text': _x1."valueString"
          }
        ) END,
        CASE WHEN len("extension") > 0
        THEN list_transform(flatten(list_transform(list_filter("extension", lambda e1: (e1."url" = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity')), lambda v: v."extension")), lambda _x1, _i1:
          {
            'kind': 'ethnicity',
            'ordinal': CAST(_i1 - 1 AS INTEGER),
            'category': _x1."url",
            'code': _x1."valueCoding"."code",
            'system': _x1."valueCoding"."system",
            'display': _x1."valueCoding"."display",
            'text': _x1."valueString"
          }
        ) END
      ) AS "_row_1"
    FROM read_json(
      ['Patient.ndjson'],
      format = 'newline_delimited',
      maximum_object_size = 16777216,
      columns = {
        'extension': 'STRUCT("url" VARCHAR, "extension" STRUCT("url" VARCHAR, "valueCoding" STRUCT("code" VARCHAR, "system" VARCHAR, "display" VARCHAR), "valueString" VARCHAR)[])[]',
        'id': 'VARCHAR',
        'meta': 'STRUCT("lastUpdated" VARCHAR)',
        'ecw_line': 'BIGINT'
      }
    )
    WHERE (len("extension") > 0)
  )
);
