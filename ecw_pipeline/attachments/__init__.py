"""Attachments: the documents behind a resource's Attachment elements, as files on the disk."""
