"""Messages between patient and practice, with replies; some are still waiting for one."""

from datetime import datetime, timedelta

from ecw_pipeline.sandbox.population.chart import Chart, Record, instant, refer
from ecw_pipeline.sandbox.population.codes import (
    SNOMED,
    JsonObject,
    concept,
    identifier,
    term,
)
from ecw_pipeline.sandbox.population.documents import pdf_attachment
from ecw_pipeline.sandbox.population.draw import chance, weighted
from ecw_pipeline.sandbox.population.visits import Visit

# topic code and display, what the patient writes, what the practice answers
_THREADS = (
    ("prescription-refill-request", "Prescription Refill Request",
     "Please renew my prescription. Děkuji!", "It is at your pharmacy."),
    ("progress-update", "Progress Update",
     "I feel better since the last visit.", "Glad to hear it; keep going."),
    ("report-labs", "Report Labs",
     "Are my results in?", "They are, and nothing is of concern."),
    ("phone-consult", "Phone Consult",
     "Could someone call me back? 谢谢", "We will call this afternoon."),
)  # fmt: skip
_REMINDER = ("appointment-reminder", "Appointment Reminder")
_MEDIA = (("WRITTEN", "written"), ("EMAILWRIT", "email"), ("PHONE", "telephone"))
# weight, share of a first reply's time: most within a day, some after a week
_REPLY_HOURS = ((50, 1, 8), (35, 8, 30), (15, 30, 170))
_PRIORITIES = ((80, "routine"), (14, "urgent"), (3, "asap"), (3, "stat"))


def add_thread(chart: Chart, visit: Visit, about: Record) -> Record:
    """A patient's message and, unless it still waits, the practice's reply."""
    random = chart.random
    topic, topic_display, question, answer = random.choice(_THREADS)
    sent_at = min(
        visit.end + timedelta(hours=random.randint(3, 700), minutes=random.randrange(60)),
        (chart.person.died_at or chart.now) - timedelta(minutes=random.randint(5, 600)),
    )
    code = term("communication-topic", topic, topic_display)
    body = _message(chart, code, question, sent_at)
    _, body["priority"] = weighted(random, _PRIORITIES)
    body |= {"sender": chart.subject, "recipient": [visit.person.practitioner]}
    body |= {"encounter": visit.reference, "about": [refer(about)]}
    first = chart.add("Communication", sent_at, body)
    _, shortest, longest = weighted(random, _REPLY_HOURS)
    wait = timedelta(hours=random.randint(shortest, longest), minutes=random.randrange(60))
    if sent_at + wait < chart.now and chance(random, 88):
        reply(chart, first, sent_at + wait, answer)
    else:
        first.resource["status"] = "in-progress"
        first.resource.pop("received", None)
    return first


def reply(chart: Chart, first: Record, at: datetime, text: str = "We have seen to it.") -> Record:
    """The practice answers a message."""
    topic = first.resource["topic"]
    body = _message(chart, topic, text, at)
    body |= {
        "inResponseTo": [refer(first)],
        "sender": chart.person.practitioner,
        "recipient": [chart.subject],
        "encounter": first.resource["encounter"],
    }
    if chance(chart.random, 15):
        sheet = pdf_attachment(topic["text"], instant(at))
        body["payload"].append({"contentAttachment": sheet})
    return chart.add("Communication", at, body)


def add_reminder(chart: Chart, visit: Visit) -> Record:
    """The practice reminds of a visit; now and then it could not be delivered."""
    sent_at = visit.start - timedelta(days=2)
    body = _message(chart, term("communication-topic", *_REMINDER), "See you soon.", sent_at)
    body["category"] = [term("communication-category", "reminder", "Reminder")]
    body["payload"].append({"contentReference": visit.reference})
    body |= {"sender": chart.practice.organization, "recipient": [chart.subject]}
    body["encounter"] = visit.reference
    if chance(chart.random, 10):
        body["status"] = "not-done"
        reason = term("communication-not-done-reason", "system-error", "System Error")
        body["statusReason"] = reason
        del body["received"]
    return chart.add("Communication", sent_at, body)


def complete(chart: Chart, message: Record) -> list[Record]:
    """A waiting message is read and answered. Returns the message: the reply is new."""
    message.resource["status"] = "completed"
    message.resource["received"] = instant(chart.now)
    reply(chart, message, chart.now)
    return [message]


def _message(chart: Chart, topic: JsonObject, text: str, sent_at: datetime) -> JsonObject:
    random = chart.random
    number = f"M{chart.number:06d}-{chart.series}{len(chart.records):04d}"
    received_at = min(sent_at + timedelta(minutes=random.randint(0, 90)), chart.now)
    body: JsonObject = {
        "identifier": [identifier("message", number)],
        "status": "completed",
        "category": [term("communication-category", "notification", "Notification")],
        "priority": "routine",
        "medium": [term("v3-ParticipationMode", *random.choice(_MEDIA))],
        "subject": chart.subject,
        "topic": topic,
        "sent": instant(sent_at),
        "received": instant(received_at),
        "payload": [{"contentString": text}],
    }
    if chance(random, 25):
        body["reasonCode"] = [concept(SNOMED, "390906007", "Follow-up encounter")]
    if chance(random, 15):
        body["note"] = [{"text": "Filed by the front desk.", "time": instant(received_at)}]
    return body
