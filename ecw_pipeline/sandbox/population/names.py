"""Names and places, as data. None belongs to a real person or town."""

FAMILY_NAMES = (
    "Testerman", "Sampleton", "Mockford", "Fakename", "Placeholder", "Dummyson", "Exampleby",
    "Fixtura", "Stubbins", "Mockett", "Demoson", "Trialman", "Ficción", "Muñeco", "Prøve",
    "Müster", "Příklad", "Šablona", "O'Nobody", "van der Proef", "Exemplarová", "Données",
    "Örnek", "Łukaszeński-Próba",
)  # fmt: skip
GIVEN_NAMES = {
    "female": (
        "Ann", "Beatriz", "Chloé", "Dagny", "Eleni", "Fatou", "Grace", "Héloïse", "Ingrid",
        "Jana", "Kalpana", "Lucía", "Maeve", "Nkechi", "Olga", "Paula", "Renée", "Šárka",
        "Teresa", "Zoë",
    ),
    "male": (
        "Adam", "Björn", "Carlos", "Dmitri", "Emeka", "François", "George", "Håkon", "Iván",
        "José", "Kofi", "Lars", "Miloš", "Noah", "Ömer", "Pedro", "Raúl", "Søren", "Tariq",
        "Zbyněk",
    ),
}  # fmt: skip
# family, given, romanised; made of the words for "sample" and "test"
CJK_NAMES = {
    "female": (("見本", "花子", "Mihon Hanako"), ("测试", "小样", "Ceshi Xiaoyang")),
    "male": (("見本", "太郎", "Mihon Taro"), ("견본", "시험", "Gyeonbon Siheom")),
}
# city, postal code; the state is always Massachusetts, the codes are unassigned
CITIES = (
    ("Sampleton", "00001"),
    ("Mockville", "00002"),
    ("Fixture Falls", "00003"),
    ("Stubbridge", "00004"),
    ("Exampleham", "00005"),
)
STREETS = ("Specimen Way", "Placeholder Street", "Dummy Lane", "Trial Road", "Lorem Avenue")
# weight, OMB code, text
RACES = (
    (68, "2106-3", "White"),
    (12, "2054-5", "Black or African American"),
    (9, "2028-9", "Asian"),
    (2, "1002-5", "American Indian or Alaska Native"),
    (1, "2076-8", "Native Hawaiian or Other Pacific Islander"),
)
ETHNICITIES = (
    (82, "2186-5", "Not Hispanic or Latino"),
    (18, "2135-2", "Hispanic or Latino"),
)
LANGUAGES = (
    (80, "en", "English"),
    (12, "es", "Spanish"),
    (3, "zh", "Chinese"),
    (3, "fr", "French"),
    (2, "cs", "Czech"),
)
MARITAL_STATUSES = (
    (45, "M", "Married"),
    (35, "S", "Never Married"),
    (12, "D", "Divorced"),
    (8, "W", "Widowed"),
)
