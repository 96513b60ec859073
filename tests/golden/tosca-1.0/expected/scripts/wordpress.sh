#!/bin/sh
echo wordpress
